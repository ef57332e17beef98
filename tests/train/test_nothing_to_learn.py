"""Corpora with records that nothing can be learned from, or measured by."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("optimum")

from streamproc.errors import TrainingError
from streamproc.offline.training.config import TrainConfig
from streamproc.offline.training.ensemble import train_ensemble
from streamproc.offline.training.events import Epoch, MemberEvent
from streamproc.offline.training.next_token import score_next_tokens
from streamproc.offline.training.plan import plan_from

pytestmark = pytest.mark.train

SHORT_PAIR = {"src": "a", "tgt": "b"}
LONG_PAIR = {"src": "one of many words " * 9, "tgt": "b"}
TRANSLATION = {"task": "translation", "layers": "1", "width": 32, "window": 8}
QUESTION = {
    "question": "what",
    "context": "good film",
    "answers": {"text": ["good"], "answer_start": [0]},
}
LONG_QUESTION = {**QUESTION, "question": "what " * 99}
ANSWERS = {"task": "question-answering", "unanswerable_share": 0.0}

Row = Mapping[str, object]


def train(
    folder: Path, base: Path, learned: Sequence[Row], measured: Sequence[Row], **options: Any
) -> list[Epoch]:
    """The epochs of a run over these rows."""
    files = []
    for name, rows in (("train", learned), ("valid", measured)):
        files.append(folder / f"{name}.jsonl")
        files[-1].write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    given = {
        "ensemble": "tiny",
        "corpus": [str(files[0])],
        "valid": [str(files[1])],
        "partition_by": "hash:1",
        "base": str(base),
        "layers": "0",
        "ffn_width": 32,
        "vocabulary": 300,
        "window": 32,
        "overlap": 8,
        "epochs": 1,
        "batch": 4,
        "threads": 1,
        "work": folder / "work",
        "out": folder / "models",
    }
    told: list[Epoch] = []

    def tell(event: object) -> None:
        if isinstance(event, MemberEvent) and isinstance(event.event, Epoch):
            told.append(event.event)

    plan = plan_from(TrainConfig.read({**given, **options}))
    train_ensemble(plan, tell, export=False)
    return told


@pytest.mark.parametrize(
    ("options", "good", "long"),
    [(TRANSLATION, SHORT_PAIR, LONG_PAIR), (ANSWERS, QUESTION, LONG_QUESTION)],
)
def test_records_that_all_are_too_long_are_told_of(
    base: Path, tmp_path: Path, options: dict[str, Any], good: Row, long: Row
) -> None:
    for name, learned, measured in (("learned from", long, good), ("measured by", good, long)):
        folder = tmp_path / name.replace(" ", "-")
        folder.mkdir()
        with pytest.raises(TrainingError, match=f"{name}.*--window"):
            train(folder, base, [learned] * 8, [measured] * 8, **options)


def test_sentences_without_a_word_do_not_make_the_loss_no_number(
    base: Path, tmp_path: Path
) -> None:
    full = {"tokens": ["good", "film"], "tags": ["B-mood", "O"]}
    rows = [full] * 8 + [{"tokens": [], "tags": []}] * 8

    (epoch,) = train(tmp_path, base, rows, rows, task="token-classification")

    assert math.isfinite(epoch.train_loss)


def test_the_perplexity_of_a_model_that_has_diverged_is_infinite() -> None:
    logits = np.array([[[0.0, 2000.0]]], np.float32)

    metrics = score_next_tokens([(logits, np.array([[0]]))])

    assert metrics.loss == 2000.0
    assert metrics.metrics["perplexity"] == math.inf
