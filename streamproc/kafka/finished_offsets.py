"""Offsets that are finished above the committed one, kept beside it for the next owner to skip.

Brokers take 4,096 bytes beside an offset, in which the attempt ledger's mark is JSON already: these
are a field of it. Runs of offsets are written as their lengths, one that is not finished and one
that is by turns, in base 128 and then in base 64. What does not fit is left out at the far end.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

import orjson

FIELD: Final = "f"
MAX_CHARACTERS: Final = 3_500
"""Of the 4,096: a mark takes at most some 300, and the id of the log 60."""
MAX_OFFSETS: Final = 1_000_000
"""More than can be written; what others write may claim more than memory has."""


def beside(metadata: str, committed: int, published: Collection[int], others: Sequence[int]) -> str:
    """What is kept beside an offset, with finished offsets above it.

    metadata:  empty, or a JSON object
    published: those that have to be in it: they were before
    others:    in rising order; as many of them as it takes, from the first
    """
    count = len(others)
    while True:
        text = _encoded(committed, sorted({*published, *others[:count]}))
        if len(text) <= MAX_CHARACTERS or not count:
            break
        # Lengths are nearly the same for each run, so this comes close in a few steps.
        count = min(count - 1, count * MAX_CHARACTERS // len(text))
    if not text:
        return metadata
    return orjson.dumps({**orjson.loads(metadata or b"{}"), FIELD: text}).decode()


def found_beside(metadata: str, committed: int) -> frozenset[int]:
    """The finished offsets above a committed one; none in what somebody else wrote."""
    if f'"{FIELD}"' not in metadata:
        return frozenset()
    try:
        fields: Any = orjson.loads(metadata)
        return frozenset(_decoded(committed, base64.b64decode(fields[FIELD], validate=True)))
    except (ValueError, KeyError, TypeError):
        return frozenset()


def _encoded(committed: int, offsets: Sequence[int]) -> str:
    lengths: list[int] = []
    behind = committed
    for offset in offsets:
        if lengths and offset == behind:
            lengths[-1] += 1
        else:
            lengths += (offset - behind, 1)
        behind = offset + 1
    return base64.b64encode(bytes(_base_128(lengths))).decode()


def _base_128(numbers: Sequence[int]) -> Iterator[int]:
    for number in numbers:
        left = number
        while left >= 128:
            yield left % 128 + 128
            left //= 128
        yield left


def _decoded(committed: int, data: bytes) -> Iterator[int]:
    behind, number, place, is_run, count = committed, 0, 1, False, 0
    for byte in data:
        number += byte % 128 * place
        if byte >= 128:
            place *= 128
            continue
        if is_run:
            count += number
            if count > MAX_OFFSETS:
                raise ValueError("more offsets than can be written")
            yield from range(behind, behind + number)
        behind += number
        number, place, is_run = 0, 1, not is_run
