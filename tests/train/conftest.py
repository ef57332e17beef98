"""A corpus that can be learned and a base that can be trained in seconds, both made here."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.support.tiny_corpora import BAD, GOOD, NEUTRAL


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.jsonl (300 texts) and valid.jsonl (60); a word tells the label."""
    folder = tmp_path_factory.mktemp("corpus")
    draw = random.Random(5)
    for name, count in (("train", 300), ("valid", 60)):
        lines = []
        for number in range(count):
            label = number % 2
            words = draw.choices(NEUTRAL, k=draw.randint(2, 12 if number % 10 else 60))
            words.insert(draw.randrange(len(words)), draw.choice(GOOD if label else BAD))
            record = {"text": " ".join(words), "label": label, "shop": "ab"[number % 3 > 0]}
            lines.append(json.dumps(record))
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder with a three-layer BERT of random weights and a WordPiece tokenizer."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("optimum")
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("base")
    letters = [chr(c) for c in range(33, 127) if not chr(c).isupper()]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    tokens += [*NEUTRAL[:3], *NEUTRAL[5:], *GOOD, *BAD, "unused", "words"]
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    tokenizer = BertWordPieceTokenizer(vocabulary)
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(length=16)
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=256,
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def logs_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command, run in this process, would send all later logs to the runner's closed stream."""
    monkeypatch.setattr("streamproc.logs.configure_logging", lambda _: None)
