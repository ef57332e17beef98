"""Greedy and beam search over exported encoder-decoders write what transformers' generate does."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from streamproc.offline.importing.generation_config import decoding_section
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.decoding.search import SearchStrategy, StepScores
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.inference.seq2seq import Seq2SeqModel
from streamproc.serving.inference.session import new_call
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.translation import Translation
from streamproc.types import FloatArray, Int64Array
from tests.support.seq2seq_models import KINDS, VOCABULARY, build_seq2seq, export_seq2seq
from tests.support.translators import build_translators

pytestmark = pytest.mark.train
pytest.importorskip("optimum.onnxruntime")

SOURCES = 8


@pytest.fixture(scope="module", params=KINDS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model of transformers', the same as a member, and end tokens."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    torch_model = build_seq2seq(request.param)
    export_seq2seq(torch_model, folder)
    member = Seq2SeqModel(
        request.param,
        (folder / "encoder_model.onnx").read_bytes(),
        (folder / "decoder_model_merged.onnx").read_bytes(),
        torch_model.config.decoder_start_token_id,
        Provider(CPU),
    )
    return torch_model, member, more_ends(torch_model)


def more_ends(torch_model: Any) -> tuple[int, ...]:
    """End tokens beside the model's own, which random weights hardly ever come upon."""
    import torch

    begun = [torch_model.generate(torch.from_numpy(s)[None], max_new_tokens=8) for s in sources()]
    return tuple({text[0].tolist()[:at][-1] for at, text in enumerate(begun[:4], start=5)})


def sources() -> list[Int64Array]:
    random = np.random.default_rng(5)
    return [
        np.asarray(random.integers(3, VOCABULARY - 1, random.integers(1, 70)), np.int64)
        for _ in range(SOURCES)
    ]


def log_softmax(logits: FloatArray) -> FloatArray:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


@cache
def words() -> TextTokenizer:
    """Token 5 is the word w5."""
    vocabulary = {f"w{token}": token for token in range(VOCABULARY)}
    tokenizer = Tokenizer(WordLevel(vocabulary, next(iter(vocabulary))))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return TextTokenizer(tokenizer.to_str().encode())


def search_of(spec: EnsembleSpec, source: Int64Array) -> SearchStrategy:
    """The one that a request to translate this source makes."""
    text = " ".join(f"w{token}" for token in source)
    (chunk,) = Translation().begin({"text": text}, {}, spec).chunks()
    assert np.array_equal(chunk.ids, source)
    search: SearchStrategy = chunk.new_search()
    return search


def written(member: Seq2SeqModel, search: SearchStrategy, source: Int64Array) -> list[int]:
    """What a search writes over one member, alone."""
    logits, rows = member.start(source, new_call())
    logits = logits[None]
    while True:
        nothing, said = np.zeros(len(logits)), log_softmax(logits)
        advance = search.advance(StepScores(said, nothing, nothing, (logits - said)[:, 0]))
        if advance.is_done:
            return [int(token) for token in search.result().tokens]
        rows = member.select(rows, advance.parents.tolist())
        logits, rows = member.step(rows, advance.tokens, new_call())


@pytest.mark.parametrize(
    ("beams", "how"),
    [
        (1, {}),
        (1, {"no_repeat_ngram_size": 2, "repetition_penalty": 1.6, "min_length": 6}),
        (1, {"forced_bos_token_id": 70, "begin_suppress_tokens": [*range(3, 60)]}),
        (4, {}),
        (4, {"early_stopping": True, "length_penalty": 0.0}),
        (4, {"early_stopping": "never", "length_penalty": 1.5, "encoder_no_repeat_ngram_size": 2}),
        (4, {"length_penalty": 2.0, "no_repeat_ngram_size": 3}),
        (3, {"length_penalty": -0.5, "no_repeat_ngram_size": 1, "min_new_tokens": 5}),
        (4, {"suppress_tokens": [*range(3, 90, 2)], "renormalize_logits": True}),
        (4, {"bad_words_ids": [[1], [5, 6], [7]], "exponential_decay_length_penalty": (3, 1.05)}),
    ],
)
def test_search_writes_what_generate_does(pair: Any, beams: int, how: dict[str, Any]) -> None:
    import torch

    torch_model, member, ends = pair
    config = torch_model.generation_config
    said = {**config.to_dict(), "max_new_tokens": 24, "num_beams": beams, **how}
    said["eos_token_id"] = [config.eos_token_id, *ends]
    section = decoding_section(said, encoder_decoder=True, positions=96)
    spec = replace(build_translators(("m",), max_tokens=96), tokenizer=words(), decoding=section)
    texts = set()
    for source in sources():
        theirs = torch_model.generate(
            torch.from_numpy(source)[None],
            max_new_tokens=section.max_new_tokens,
            do_sample=False,
            num_beams=beams,
            eos_token_id=list(section.end_tokens),
            **how,
        )[0].tolist()
        ours = written(member, search_of(spec, source), source)
        theirs = theirs[1:-1] if theirs[-1] in section.end_tokens else theirs[1:]
        assert ours == theirs
        texts.add(tuple(ours))
    assert len(texts) > 1, "one text for all sources shows little"


def test_a_row_gets_the_same_scores_to_the_bit_whatever_it_is_stepped_beside(pair: Any) -> None:
    _, member, _ = pair
    random = np.random.default_rng(1)
    started = [member.start(source, new_call())[1] for source in sources()]
    tokens = np.asarray(random.integers(3, VOCABULARY - 1, (3, len(started))), np.int64)

    alone = []
    for row, first in enumerate(started):
        rows = first
        for step in range(3):
            logits, rows = member.step(rows, tokens[step, row : row + 1], new_call())
        alone.append(logits[0])
    # Every other one is a step ahead of the rest, and half of them leave on the way.
    ahead = member.join(started[::2])
    _, ahead = member.step(ahead, tokens[0, ::2], new_call())
    together = member.join([member.join(started[1::2]), ahead])
    order = [*range(1, len(started), 2), *range(0, len(started), 2)]
    steps = np.array(
        [[0 if row % 2 else 1 for row in order], [1 if row % 2 else 2 for row in order]]
    )
    for step in steps:
        logits, together = member.step(together, tokens[step, order], new_call())
    left = [at for at, row in enumerate(order) if row % 2][::2][::-1]
    kept = [order[at] for at in left]
    last, _ = member.step(member.select(together, left), tokens[2, kept], new_call())

    for at, row in enumerate(order):
        if row % 2 == 0:
            assert np.array_equal(logits[at], alone[row])
    for at, row in enumerate(kept):
        assert np.array_equal(last[at], alone[row])
