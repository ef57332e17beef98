"""The corpus of the ensemble `generation`: `python models/generation/make_corpus.py DATA OUT`.

DATA: the folder of data sets that report.md names; OUT: books-*.jsonl and wikipedia-*.jsonl,
each as train, valid and test. The shares of books are the first eight tenths of each, then one
and one.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

# Pride and Prejudice, Alice's Adventures in Wonderland, The War of the Worlds, The Time Machine.
BOOKS = ("pg-1342", "pg-11", "pg-36", "pg-35")
SHARES = {"train": (0.0, 0.8), "valid": (0.8, 0.9), "test": (0.9, 1.0)}
# WikiText keeps tokens apart by spaces; text as it is written does not.
SPACED = (
    (r" @(.)@ ", r"\1"),
    (r" ([,.;:!?%)\]])", r"\1"),
    (r"([(\[$£]) ", r"\1"),
    (r" ('s|'t|'re|'ve|'ll|'d|'m|n't)\b", r"\1"),
    (r'" ([^"]*) "', r'"\1"'),
    (r"\n +", "\n"),
    (r"^ +| +$", ""),
)


def main(data: Path, out: Path) -> None:
    """Write the six files."""
    out.mkdir(parents=True, exist_ok=True)
    books = [row["text"] for row in rows(data / "longdocs/test.jsonl.gz") if row["id"] in BOOKS]
    for split, (first, last) in SHARES.items():
        shares = (book[int(len(book) * first) : int(len(book) * last)] for book in books)
        write(out / f"books-{split}.jsonl", shares)
        articles = rows(data / f"lm_wikitext2/{split}.jsonl.gz")
        write(out / f"wikipedia-{split}.jsonl", (as_written(row["text"]) for row in articles))


def as_written(text: str) -> str:
    """Text without the spaces that WikiText puts around its tokens."""
    for pattern, replacement in SPACED:
        text = re.sub(pattern, replacement, text)
    return text


def rows(path: Path) -> Iterator[dict[str, str]]:
    """The objects of a gzipped file of JSON Lines."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def write(path: Path, texts: Iterable[str]) -> None:
    """One object a text."""
    lines = [json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts]
    path.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
