"""Token windows that an encoder learns from and is scored by, and batches of like length."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]

# A target that teaches nothing: torch's own default of what cross-entropy leaves out.
NO_TARGET = -100


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of an example that fits the model.

    ids, type_ids: (tokens,) with the special tokens
    target:        what is right: () a label, (tokens,) a label each, or (2,) a span's ends
    example:       index of the example it is a piece of
    first:         index, among the example's tokens, of its first token that is not special
    """

    ids: Ids
    type_ids: Ids
    target: Ids
    example: int
    first: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of like length, padded to the longest.

    input_ids, attention_mask, token_type_ids: (windows, tokens) int64
    targets: (windows,), (windows, tokens) or (windows, 2) int64
    windows: what was padded
    hidden:  (windows, tokens, width) what frozen layers made of them; none where there are none
    """

    input_ids: Ids
    attention_mask: Ids
    token_type_ids: Ids
    targets: Ids
    windows: Sequence[Window]
    hidden: NDArray[np.float32] | None = None

    @property
    def lengths(self) -> Ids:
        """(windows,) how many tokens each one has."""
        return np.array([len(window.ids) for window in self.windows])


def pieces(tokens: int, room: int, overlap: int) -> Iterator[slice]:
    """Where a sequence is cut: pieces of at most `room`, neighbours sharing `overlap`."""
    for first in range(0, max(tokens - overlap, 1), room - overlap):
        yield slice(first, min(first + room, tokens))


def draw(cut: Sequence[Window], per_example: int, order: random.Random) -> list[Window]:
    """At most per_example windows of each example, so that long texts do not outweigh the rest."""
    by_example: dict[int, list[Window]] = {}
    for window in cut:
        by_example.setdefault(window.example, []).append(window)
    drawn: list[Window] = []
    for own in by_example.values():
        drawn += own if len(own) <= per_example else order.sample(own, per_example)
    return drawn


def pad(windows: Sequence[Window], padding_id: int) -> Batch:
    """The windows as one batch."""
    longest = max(len(window.ids) for window in windows)
    per_token = windows[0].target.shape == windows[0].ids.shape

    def padded(rows: Sequence[Ids], filler: int) -> Ids:
        filled = np.full((len(rows), longest), filler, dtype=np.int64)
        for row, values in zip(filled, rows, strict=True):
            row[: len(values)] = values
        return filled

    targets = [window.target for window in windows]
    return Batch(
        padded([window.ids for window in windows], padding_id),
        padded([np.ones_like(window.ids) for window in windows], 0),
        padded([window.type_ids for window in windows], 0),
        padded(targets, NO_TARGET) if per_token else np.stack(targets),
        windows,
    )


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
        yield pad(group, padding_id)


def mixed(cut: Sequence[Window], most: int, padding_id: int) -> list[Batch]:
    """Some windows in batches of unlike lengths: what padding could leak into."""
    order = random.Random(0)  # noqa: S311  # an order to be repeated, not a secret
    chosen = order.sample(list(cut), min(len(cut), most))
    return [pad(chosen[first : first + 16], padding_id) for first in range(0, len(chosen), 16)]
