"""Words cut down from a base: what is put around a text keeps its meaning under its new number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optimum")

from streamproc.offline.training.vocabulary import trim_vocabulary

pytestmark = pytest.mark.train

WORDS = ["[PAD]", *(f"word{number}" for number in range(50)), "[UNK]", "[CLS]", "[SEP]", "g", "##o"]
IDS = {word: number for number, word in enumerate(WORDS)}
TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [
        {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
    ],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {
        token: {"id": token, "ids": [IDS[token]], "tokens": [token]} for token in ("[CLS]", "[SEP]")
    },
}
BERT = {
    "type": "BertProcessing",
    "sep": ["[SEP]", IDS["[SEP]"]],
    "cls": ["[CLS]", IDS["[CLS]"]],
}


def tokenizer(folder: Path, processor: Any, *added: str) -> Path:
    """A base's tokenizer.json. added: words beside its vocabulary."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    numbers = {
        **{word: IDS[word] for word in ("[PAD]", "[UNK]", "[CLS]", "[SEP]")},
        **{word: len(WORDS) + place for place, word in enumerate(added)},
    }
    spec = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, "content": word, "special": True, **flags}
            for word, number in numbers.items()
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": processor,
        "decoder": None,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": IDS,
        },
    }
    (folder / "tokenizer.json").write_text(json.dumps(spec), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("processor", "around"),
    [
        (TEMPLATE, True),
        (BERT, True),
        ({"type": "Sequence", "processors": [BERT]}, True),
        (None, False),
    ],
)
def test_special_tokens_are_those_of_the_new_vocabulary(
    tmp_path: Path, processor: Any, around: bool
) -> None:
    words = trim_vocabulary(tokenizer(tmp_path, processor), ["go"], 20)

    encoded = words.tokenizer.encode("go")

    assert [WORDS[words.kept[number]] for number in encoded.ids] == (
        ["[CLS]", "g", "##o", "[SEP]"] if around else ["g", "##o"]
    )


def test_words_that_were_added_to_a_base_stay(tmp_path: Path) -> None:
    words = trim_vocabulary(tokenizer(tmp_path, BERT, "[E1]"), ["go"], 20)

    (number,) = words.tokenizer.encode("[E1]", add_special_tokens=False).ids

    assert words.kept[number] == len(WORDS)
