"""The texts that the demo sends; SOURCES.md says where they are from."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import orjson

ADDRESS_TITLE = "John F. Kennedy's address on the State of the Union, 1962"


def reviews() -> list[dict[str, Any]]:
    """Reviews with what their authors said of the thing in `metadata`; the last one is long."""
    lines = (files(__name__) / "reviews.jsonl").read_bytes().splitlines()
    return [orjson.loads(line) for line in lines]


def address() -> str:
    """A long document."""
    return (files(__name__) / "address.txt").read_text("utf-8")


def letter() -> str:
    """Two paragraphs of short English sentences, a sentence a line."""
    return (files(__name__) / "letter.txt").read_text("utf-8").strip()
