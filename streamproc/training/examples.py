"""Records as token windows, and windows as batches of like length."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from streamproc.corpus.records import Record

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Example:
    """One record, tokenized.

    ids:   (tokens,) without special tokens
    label: index into the ensemble's labels
    """

    ids: Ids
    label: int


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of an example that fits the model.

    ids:     (tokens + 2,) with the special tokens around it
    example: index of the example it is a piece of
    """

    ids: Ids
    label: int
    example: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of like length, padded to the longest.

    input_ids, attention_mask: (windows, tokens) int64
    labels, examples:          (windows,) int64
    """

    input_ids: Ids
    attention_mask: Ids
    labels: Ids
    examples: Ids


def tokenize(
    records: Iterable[Record], tokenizer: Tokenizer, labels: dict[str, int]
) -> tuple[Example, ...]:
    """The records as examples; `labels` maps the corpus's spelling of a label to its index."""
    records = tuple(records)
    encodings = tokenizer.encode_batch([r.text for r in records], add_special_tokens=False)
    return tuple(
        Example(np.asarray(encoding.ids, dtype=np.int64), labels[record.label])
        for record, encoding in zip(records, encodings, strict=True)
    )


def windows(
    examples: Sequence[Example], tokenizer: Tokenizer, max_tokens: int, overlap_tokens: int = 0
) -> tuple[Window, ...]:
    """Every example cut into windows of at most max_tokens, special tokens included.

    Neighbours share overlap_tokens tokens. An empty text has one window of special tokens alone.
    """
    start, end = (tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]"))
    room = max_tokens - 2
    cut: list[Window] = []
    for index, example in enumerate(examples):
        last = max(len(example.ids) - overlap_tokens, 1)
        for first in range(0, last, room - overlap_tokens):
            piece = example.ids[first : first + room]
            cut.append(Window(np.concatenate(([start], piece, [end])), example.label, index))
    return tuple(cut)


def draw(cut: Sequence[Window], per_example: int, order: random.Random) -> list[Window]:
    """At most per_example windows of each example, so that long texts do not outweigh the rest."""
    by_example: dict[int, list[Window]] = {}
    for window in cut:
        by_example.setdefault(window.example, []).append(window)
    drawn: list[Window] = []
    for pieces in by_example.values():
        drawn += pieces if len(pieces) <= per_example else order.sample(pieces, per_example)
    return drawn


def batches(
    cut: Sequence[Window], size: int, padding_id: int, order: random.Random | None = None
) -> Iterator[Batch]:
    """The windows in batches of like length: in the order drawn, or shortest first without one."""
    ranked = list(cut)
    if order is not None:
        order.shuffle(ranked)  # so that windows of one length meet others each time
    ranked.sort(key=lambda window: len(window.ids))
    groups = [ranked[first : first + size] for first in range(0, len(ranked), size)]
    if order is not None:
        order.shuffle(groups)
    for group in groups:
        longest = max(len(window.ids) for window in group)
        input_ids = np.full((len(group), longest), padding_id, dtype=np.int64)
        for row, window in zip(input_ids, group, strict=True):
            row[: len(window.ids)] = window.ids
        lengths = np.array([len(window.ids) for window in group])
        yield Batch(
            input_ids,
            (np.arange(longest) < lengths[:, None]).astype(np.int64),
            np.array([window.label for window in group], dtype=np.int64),
            np.array([window.example for window in group], dtype=np.int64),
        )
