"""An ensemble of small graphs made by hand for every task, under the names that topics name."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from streamproc.testing import build_tokenizer
from streamproc.testing.generative import build_byte_tokenizer, byte_tokenizer_json
from tests.support.causal_graphs import causal
from tests.support.onnx_answerers import answerer
from tests.support.onnx_models import classifier, write_ensemble
from tests.support.seq2seq_graphs import decoder, encoder

TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")

SMALL = {
    "text-classification": "sentiment",
    "token-classification": "entities",
    "question-answering": "question-answering",
    "translation": "translation-en-de",
    "summarization": "summarization",
    "text-generation": "generation",
}
"""The ensemble of each task."""


NOT_SHIPPED = tuple(task for task in SMALL if task != "text-classification")
"""Tasks for which no ensemble needs to be shipped for tests to pass."""


def write_small_ensembles(root: Path, tasks: Collection[str] = NOT_SHIPPED) -> None:
    """One a task, two members each; what they say means nothing."""
    for task in tasks:
        _WRITERS[task](root / SMALL[task])


def _sentiment(folder: Path) -> None:
    words = build_tokenizer().vocabulary_size
    write_ensemble(folder, [classifier(words, seed=seed) for seed in (1, 2)])


def _entities(folder: Path) -> None:
    words = build_tokenizer().vocabulary_size
    write_ensemble(
        folder,
        [classifier(words, len(TAGS), per_token=True, seed=seed) for seed in (1, 2)],
        labels=TAGS,
        task="token-classification",
    )


def _answers(folder: Path) -> None:
    words = build_tokenizer().vocabulary_size
    write_ensemble(
        folder,
        [answerer(words, seed=seed) for seed in (1, 2)],
        labels=(),
        task="question-answering",
        window=(128, 8),
    )


def _translations(folder: Path) -> None:
    _written_anew(folder, "translation")


def _summaries(folder: Path) -> None:
    _written_anew(folder, "summarization")


def _written_anew(folder: Path, task: str) -> None:
    letters = build_byte_tokenizer().vocabulary_size
    end = letters - 1
    write_ensemble(
        folder,
        [encoder(letters)] * 2,
        labels=(),
        task=task,
        tokenizer=byte_tokenizer_json(),
        window=(128, 0),
        sections=(
            f"[decoding]\nstart_token = {end}\nend_tokens = [{end}]\nmax_tokens = 64\n"
            "max_new_tokens = 24\nbeams = 2"
        ),
        decoders=[decoder(letters, seed=seed) for seed in (1, 3)],
    )


def _continuations(folder: Path) -> None:
    letters = build_byte_tokenizer().vocabulary_size
    end = letters - 1
    write_ensemble(
        folder,
        [causal(letters, seed=seed) for seed in (1, 3)],
        labels=(),
        task="text-generation",
        tokenizer=byte_tokenizer_json(),
        window=(64, 0),
        sections=f"[decoding]\nend_tokens = [{end}]\nmax_tokens = 256\nmax_new_tokens = 24",
    )


_WRITERS: dict[str, Callable[[Path], None]] = {
    "text-classification": _sentiment,
    "token-classification": _entities,
    "question-answering": _answers,
    "translation": _translations,
    "summarization": _summaries,
    "text-generation": _continuations,
}
