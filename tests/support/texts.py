"""Real texts: a hundred that are committed, and all of the data sets where there are any."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import Any

import orjson

from streamproc.errors import SettingsError
from streamproc.settings import read_settings

# From sentiment_open's test split (CC BY 4.0: Pang & Lee, Hu & Liu, UCI), each of one chunk.
_SAMPLE = Path(__file__).with_name("sample_texts.jsonl")


def sample_texts() -> list[str]:
    """A hundred reviews and sentences of reviews."""
    return [orjson.loads(line)["text"] for line in _SAMPLE.read_bytes().splitlines()]


def short_texts(count: int) -> list[str]:
    """`count` different short texts."""
    return [short_text(number) for number in range(count)]


def short_text(number: int) -> str:
    """A text of two sentences of reviews, another one for each number."""
    sentences = _shortest()
    return f"{sentences[number % 80]} {sentences[number // 80 % 80][: 20 + number % 60]} {number}"


@cache
def _shortest() -> list[str]:
    return sorted(sample_texts(), key=len)[:80]


def review_texts(count: int) -> list[str]:
    """The first reviews of sentiment_open's test split, as they are.

    Raises SettingsError where STREAMPROC_DATA is not set.
    """
    return [row["text"] for row, _ in zip(rows("sentiment_open"), range(count), strict=False)]


def entity_texts(count: int) -> list[str]:
    """The first texts of each of the four `ner_*` test splits, their tokens joined by spaces.

    Raises SettingsError where STREAMPROC_DATA is not set.
    """
    sets = ("ner_wnut17", "ner_btc", "ner_crossner", "ner_wikigold")
    turns = zip(*(islice(rows(name), count) for name in sets), strict=False)
    return [" ".join(row["tokens"]) for row in chain.from_iterable(turns)][:count]


def books() -> list[dict[str, Any]]:
    """The books of `longdocs`: `id`, `title`, `text`. Raises SettingsError without data."""
    return [row for row in rows("longdocs") if row["kind"] == "book"]


def rows(data_set: str) -> Iterator[dict[str, Any]]:
    """The test split of a data set. Raises SettingsError where STREAMPROC_DATA is not set."""
    folder = read_settings().data
    if folder is None:
        raise SettingsError(f"STREAMPROC_DATA is not set: it names the folder that has {data_set}")
    with gzip.open(folder / data_set / "test.jsonl.gz") as lines:
        for line in lines:
            yield orjson.loads(line)
