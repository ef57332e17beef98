"""The texts that are asked about: real reviews of mixed lengths, as many as are wanted."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import orjson

SAMPLE = Path(__file__).with_name("sample.jsonl")
CORPUS = Path("sentiment_open") / "test.jsonl.gz"


def read_texts(data: Path | None) -> tuple[str, ...]:
    """Texts of the corpus under `data` where it is there, else of the sample in this folder."""
    path = data / CORPUS if data is not None else SAMPLE
    if not path.is_file():
        path = SAMPLE
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    return tuple(orjson.loads(line)["text"] for line in content.splitlines() if line.strip())


def requested(texts: Sequence[str], count: int, seed: int = 0) -> tuple[str, ...]:
    """`count` different texts in a random but fixed order, with the lengths that `texts` have.

    Fewer than there are: evenly by length. More: repeated, each time with another number added,
    so that nothing gains by remembering what it has seen.
    """
    rounds, rest = divmod(count, len(texts))
    chosen = [_varied(text, again) for again in range(rounds) for text in texts]
    chosen += [_varied(text, rounds) for text in evenly_by_length(texts, rest)]
    random.Random(seed).shuffle(chosen)
    return tuple(chosen)


def evenly_by_length(texts: Iterable[str], count: int) -> list[str]:
    """`count` of the texts, at even steps through them sorted by length."""
    by_length = sorted(texts, key=lambda text: (len(text), text))
    return [by_length[(2 * place + 1) * len(by_length) // (2 * count)] for place in range(count)]


def _varied(text: str, again: int) -> str:
    return f"{text} {again}" if again else text
