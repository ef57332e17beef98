"""Imported models write as their generation settings say, and so as transformers does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing

from tests.support.hub_imports import answers, imported, saved

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("logs_stay")]
pytest.importorskip("optimum")

VOCABULARY = 120
END, PADDING, ENGLISH, GERMAN, FRENCH = range(5)
SPECIAL = ["</s>", "<pad>", "eng_Latn", "deu_Latn", "fra_Latn"]
TEXTS = ["w9 w17 w30", "w77 w78 w79 w80 w81", "w50"]


def words(frame: str, special: Sequence[str] = SPECIAL[:2]) -> bytes:
    """Token 9 is the word w9; the first are special."""
    pieces = [*special, *(f"w{token}" for token in range(len(special), VOCABULARY))]
    vocabulary = {piece: token for token, piece in enumerate(pieces)}
    tokenizer = Tokenizer(WordLevel(vocabulary, pieces[PADDING]))
    tokenizer.add_special_tokens([*special])
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.post_processor = TemplateProcessing(
        single=frame, special_tokens=[(piece, token) for token, piece in enumerate(special)]
    )
    return bytes(tokenizer.to_str().encode())


def generated(model: Any, tokenizer: bytes, text: str, **settings: Any) -> str:
    """What transformers writes of a text, its own settings and these taken together."""
    import torch

    library = Tokenizer.from_buffer(tokenizer)
    ids = torch.tensor([library.encode(text).ids])
    written = model.generate(ids, attention_mask=torch.ones_like(ids), **settings)[0]
    if not model.config.is_encoder_decoder:
        written = written[ids.shape[1] :]
    return str(library.decode(written.tolist()))


def asked(models: Path, task: str, **params: Any) -> list[dict[str, Any]]:
    return answers(models, task, [{"text": text, "params": params} for text in TEXTS])


def test_a_model_of_many_languages_writes_the_one_that_is_asked_for(tmp_path: Path) -> None:
    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration

    torch.manual_seed(2)
    config = M2M100Config(
        vocab_size=VOCABULARY,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_position_embeddings=64,
        init_std=0.3,
        bos_token_id=PADDING,
        eos_token_id=END,
        pad_token_id=PADDING,
        decoder_start_token_id=END,
    )
    model = M2M100ForConditionalGeneration(config).eval()
    model.generation_config.update(max_length=16, num_beams=2, no_repeat_ngram_size=2)
    tokenizer = words("eng_Latn $A </s>", SPECIAL)
    source = saved(tmp_path / "many", model, tokenizer)

    imported(source, tmp_path / "models", "--target-language=deu_Latn")

    for params, target, of in (
        ({}, GERMAN, tokenizer),
        ({"target_language": "fra_Latn"}, FRENCH, tokenizer),
        ({"source_language": "fra_Latn"}, GERMAN, words("fra_Latn $A </s>", SPECIAL)),
    ):
        found = asked(tmp_path / "models", "translation", **params)
        expected = [generated(model, of, text, forced_bos_token_id=target) for text in TEXTS]
        assert [one["translation_text"] for one in found] == expected
        assert len(set(expected)) > 1


def test_a_model_is_told_what_to_do_before_every_sentence(tmp_path: Path) -> None:
    from tests.support.seq2seq_models import build_seq2seq

    model = build_seq2seq("bart", vocabulary=VOCABULARY, end=END, padding=PADDING)
    tasks = {
        "translation_en_to_de": {"prefix": "w8 w7 ", "num_beams": 2, "max_length": 15},
        "translation_en_to_fr": {"prefix": "w6 ", "num_beams": 1, "max_length": 9},
    }
    model.config.task_specific_params = tasks
    tokenizer = words("$A </s>")
    source = saved(tmp_path / "told", model, tokenizer)

    imported(source, tmp_path / "models", "--task=translation_en_to_fr")

    french = dict(tasks["translation_en_to_fr"])
    prefix = french.pop("prefix")
    found = asked(tmp_path / "models", "translation")
    assert [one["translation_text"] for one in found] == [
        generated(model, tokenizer, f"{prefix}{text}", **french) for text in TEXTS
    ]


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A GPT-2, and the folder that optimum made of it."""
    from streamproc.offline.training.hugging_face import export_folder
    from tests.support.causal_models import build_causal

    model, folder = build_causal("gpt2"), tmp_path_factory.mktemp("decoder")
    source = saved(folder / "hf", model, words("$A"))
    (folder / "onnx").mkdir()
    export_folder(source, "text-generation", folder / "onnx")
    (folder / "onnx" / "config.json").write_bytes((source / "config.json").read_bytes())
    (folder / "onnx" / "tokenizer.json").write_bytes(words("$A"))
    return model, folder / "onnx"


@pytest.mark.parametrize(
    "settings",
    [
        {"max_length": 14, "min_length": 9, "repetition_penalty": 1.4, "no_repeat_ngram_size": 2},
        {"max_new_tokens": 9, "min_new_tokens": 4, "suppress_tokens": [*range(20, 90)]},
        {"max_new_tokens": 6, "bad_words_ids": [[5], [6, 7]], "begin_suppress_tokens": [8, 9]},
    ],
)
def test_a_decoder_goes_on_as_its_settings_say(
    tmp_path: Path, decoder: tuple[Any, Path], settings: dict[str, Any]
) -> None:
    model, source = decoder
    ends = [END, *range(90, VOCABULARY)]
    said = {"eos_token_id": ends, "pad_token_id": END, "do_sample": False, **settings}
    (source / "generation_config.json").write_text(json.dumps(said))

    imported(source, tmp_path / "models")

    found = asked(tmp_path / "models", "text-generation")
    for text, ours in zip(TEXTS, found, strict=True):
        written = generated(model, words("$A"), text, **said).split()
        if ours["finish_reason"] == "stop":
            # Special tokens are no text; the words among the ends are.
            written = written[:-1] if written[-1:] and int(written[-1][1:]) in ends else written
        assert ours["generated_text"].split() == written
