"""One member, one chunk: what transformers' own pipeline answers with the same model.

`python -m tests.acceptance.conformance --texts 500` (needs the train extra)
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import typer

from streamproc.repository.repository import Repository
from streamproc.settings import read_settings
from tests.support.alone import copy_with_one_member, encoder_for_transformers, in_stages
from tests.support.command import streamproc
from tests.support.report import tell
from tests.support.texts import review_texts

ENSEMBLE = "sentiment"
TOLERANCE = 1e-4
Scores = dict[str, float]
"""Every label's probability."""


def our_scores(texts: Sequence[str], folder: Path, member: int = 0) -> list[Scores]:
    """By `streamproc run` with a single member; raises AssertionError for texts of many chunks.

    folder: an empty one
    """
    models = folder / "models"
    copy_with_one_member(ENSEMBLE, member, models)
    requests, answers = folder / "requests.jsonl", folder / "answers.jsonl"
    requests.write_bytes(b"".join(orjson.dumps({"text": text}) + b"\n" for text in texts))
    done = streamproc("run", requests, "-o", answers, "--models-dir", models)
    assert done.returncode == 0, done.stderr
    rows = [orjson.loads(line) for line in answers.read_bytes().splitlines()]
    assert all(row["coverage"]["chunks"] == 1 for row in rows), "a text is longer than one chunk"
    return [row["result"]["scores"] for row in rows]


def their_scores(texts: Sequence[str], folder: Path, member: int = 0) -> list[Scores]:
    """By transformers' text-classification pipeline over optimum's ONNX model.

    folder: an empty one
    """
    from optimum.onnxruntime import ORTModelForSequenceClassification
    from transformers import pipeline

    stored = Repository(read_settings().models_dir).open(ENSEMBLE)
    chosen = stored.manifest.members[member]
    architecture = "BertForSequenceClassification"
    tokenizer = encoder_for_transformers(stored, chosen, architecture, folder)
    loaded = ORTModelForSequenceClassification.from_pretrained(folder, local_files_only=True)
    model = in_stages(loaded, folder)
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None)
    answers: list[list[dict[str, Any]]] = classify(list(texts))
    return [{said["label"]: float(said["score"]) for said in answer} for answer in answers]


def compare(ours: Sequence[Scores], theirs: Sequence[Scores]) -> tuple[int, float]:
    """How many likeliest labels differ, and the largest difference of a score."""
    other_labels = sum(
        max(mine, key=mine.__getitem__) != max(its, key=its.__getitem__)
        for mine, its in zip(ours, theirs, strict=True)
    )
    differences = [
        abs(mine[label] - its[label])
        for mine, its in zip(ours, theirs, strict=True)
        for label in its
    ]
    return other_labels, max(differences)


def main(texts: int = 500, member: int = 0) -> None:
    """Real reviews of one chunk; exit with 1 when a label or a score differs."""
    # The longest reviews are of several chunks; transformers would not take them at all.
    chosen = [text for text in review_texts(2 * texts) if len(text) < 600][:texts]
    with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as theirs:
        labels, difference = compare(
            our_scores(chosen, Path(ours), member), their_scores(chosen, Path(theirs), member)
        )
    figures = {
        "texts": len(chosen),
        "member": member,
        "other_labels": labels,
        "largest_difference": difference,
        "tolerance": TOLERANCE,
    }
    tell("against transformers' pipeline", figures, not labels and difference <= TOLERANCE)


if __name__ == "__main__":
    typer.run(main)
