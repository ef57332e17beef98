"""Whole training runs that take seconds, one a kind of task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from streamproc.offline.corpus.partitioning import ByField, ByHash
from streamproc.offline.corpus.rows import Source
from streamproc.offline.training.base import find_base
from streamproc.offline.training.encoder_trainer import Learning
from streamproc.offline.training.plan import TrainingPlan
from streamproc.offline.training.pruning import PruneConfig
from streamproc.offline.training.text_classification import TextClassification
from streamproc.offline.training.text_generation import TextGeneration
from streamproc.offline.training.translation import Translation
from streamproc.serving.chunking.windows import Window
from tests.support.tiny_corpora import pairs
from tests.support.trainings import options


def review_recipe(base: Path, **other: Any) -> TextClassification:
    parameters = {
        "vocabulary_size": 170,
        "shape": PruneConfig((0, 2), 32, positions=32),
        "learning": Learning(32),
        "window": Window(32, 8),
        "names": {"0": "negative", "1": "positive"},
    }
    return TextClassification(find_base(base), **{**parameters, **other})


def reviews(corpus: Path, base: Path, out: Path, **other: Any) -> TrainingPlan:
    return TrainingPlan(
        config=options(
            out,
            license='made "here"',
            layers="0,2",
            ffn_width=32,
            window=32,
            overlap=8,
            seed=1,
            epochs=8,
            patience=8,
            batch=16,
            learning_rate=5e-3,
        ),
        recipe=review_recipe(base, **other),
        corpus=[Source("tiny", corpus / "train.jsonl")],
        valid=[Source("tiny", corpus / "valid.jsonl")],
        partitioning=ByHash(2),
        folder=out / "work",
    )


SONG = "the film was good and the phone was bad, <unk> says; "


def songs(folder: Path) -> TrainingPlan:
    for name, text in (("a", SONG * 60), ("b", SONG.upper() * 60)):
        (folder / f"{name}.jsonl").write_text(json.dumps({"text": text}) + "\n", encoding="utf-8")
    sources = [Source(name, folder / f"{name}.jsonl") for name in "ab"]
    return TrainingPlan(
        config=options(
            folder,
            task="text-generation",
            layers="1",
            seed=1,
            epochs=16,
            batch=8,
            learning_rate=1e-2,
        ),
        recipe=TextGeneration(300, layers=1, heads=2, width=32, ffn_width=64, context=32),
        corpus=sources,
        valid=sources,
        partitioning=ByField("corpus"),
        folder=folder / "work",
    )


def sentence_pairs(folder: Path) -> TrainingPlan:
    return TrainingPlan(
        config=options(
            folder, task="translation", layers="1", epochs=10, batch=16, learning_rate=5e-3
        ),
        recipe=Translation(300, layers=1, heads=2, width=32, ffn_width=64, context=32),
        corpus=[Source("tiny", pairs(folder / "train.jsonl", 800, 1))],
        valid=[Source("tiny", pairs(folder / "valid.jsonl", 40, 2))],
        partitioning=ByHash(1),
        folder=folder / "work",
    )
