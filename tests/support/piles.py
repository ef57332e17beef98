"""Piles as users have them: a folder of documents of eight formats, a CSV of millions of rows."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from tests.support.documents import MADE_BY, email_of, pdf_of
from tests.support.texts import short_texts

_WORDS = ("the", "film", "was", "lovely", "awful", "long", "a", "story", "about", "love", "war")


@dataclass(frozen=True, slots=True)
class PileFile:
    """A file of a pile; rows: None where it can't be read, and is to be named as bad"""

    name: str
    rows: int | None


def json_lines_of(paragraphs: Sequence[str]) -> bytes:
    """A row for each paragraph."""
    return b"".join(orjson.dumps({"text": text}) + b"\n" for text in paragraphs)


def make_documents(folder: Path, count: int, seed: int) -> list[PileFile]:
    """Write documents into a folder of folders; returns them in the order in which they are read.

    One in fifty is broken: cut in the middle, empty, or of another format than its name says.
    """
    chance, texts = random.Random(seed), short_texts(4_000)
    makers = {**MADE_BY, ".jsonl": json_lines_of}
    files = []
    for number in range(count):
        suffix = list(makers)[number % len(makers)]
        # No two rows alike: a run that resumes gives an answer to whichever of equal rows is first.
        paragraphs = [f"{text[:84]} {number}" for text in chance.sample(texts, 3)]
        content = makers[suffix](paragraphs)
        rows: int | None = len(paragraphs) if suffix == ".jsonl" else 1
        if number % 50 == 7:
            rows = None
            content, suffix = chance.choice(
                [
                    (pdf_of(paragraphs)[:200], ".pdf"),
                    (b"PK\x03\x04 and then nothing", ".docx"),
                    (b"", ".txt"),
                    (email_of(paragraphs), ".pptx"),
                ]
            )
        name = f"{number % 7}/{chance.randrange(10**9):09}-{number}{suffix}"
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        files.append(PileFile(name, rows))
    return sorted(files, key=lambda file: Path(file.name).parts)


def make_table(file: Path, rows: int) -> None:
    """Write a CSV of rows with a text of some ten words each."""
    chance = random.Random(rows)
    with file.open("w", newline="", encoding="utf-8") as opened:
        table = csv.writer(opened)
        table.writerow(["id", "text", "stars"])
        for number in range(rows):
            text = " ".join(chance.choices(_WORDS, k=chance.randint(4, 16)))
            table.writerow([f"review-{number}", f"{text} {number}", number % 5])
