"""Cutting chunks into batches the two ways that are compared: by length, and as they come."""

from __future__ import annotations

from collections.abc import Sequence

from streamproc.serving.chunking.windows import Chunk


def by_length(chunks: Sequence[Chunk], budget_tokens: int) -> list[list[int]]:
    """Indices of chunks, longest first, in batches of at most `budget_tokens` with padding."""
    order = sorted(range(len(chunks)), key=lambda index: -len(chunks[index]))
    batches: list[list[int]] = []
    for index in order:
        # Sorted, so the first of a batch is its longest.
        longest = len(chunks[batches[-1][0]]) if batches else 0
        if batches and longest * (len(batches[-1]) + 1) <= budget_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def as_they_come(count: int, size: int) -> list[list[int]]:
    """Indices up to `count` in order, `size` a batch."""
    return [list(range(first, min(first + size, count))) for first in range(0, count, size)]


def padding_factor(chunks: Sequence[Chunk], batches: Sequence[Sequence[int]]) -> float:
    """Tokens with padding to tokens without."""
    padded = sum(len(batch) * max(len(chunks[index]) for index in batch) for batch in batches)
    return padded / sum(map(len, chunks))
