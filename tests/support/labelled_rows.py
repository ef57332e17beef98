"""Labelled rows for the small ensembles of the tests, by the name of the ensemble."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]

ENTITIES: list[Row] = [
    {"tokens": ["a", "good", "film"], "tags": ["O", "B-person", "I-person"]},
    {"tokens": ["the", "bad"], "tags": ["O", "B-thing"]},
]
ENTITY_NAMES = ("--label", "person=PER", "--label", "thing=O")
"""What these are called in the ensemble."""
QUESTION: Row = {
    "question": "good?",
    "context": "a bad film",
    "answers": {"text": ["bad"], "answer_start": [2]},
}


def feelings(texts: Sequence[str]) -> list[Row]:
    """Texts that are negative and positive by turns."""
    return [
        {"text": text, "label": ("negative", "positive")[number % 2]}
        for number, text in enumerate(texts)
    ]


def written(file: Path, rows: Sequence[Row]) -> Path:
    """A file of JSON Lines."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file
