"""Token windows that an encoder learns from and is scored by, and batches of like length."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

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


# Makes the window of an example that begins at a token of it and has so many.
MakeWindow = Callable[[int, int, int], Window]


class Cut(Sequence[Window]):
    """Examples cut into windows, each made when it is asked for: in memory are 20 bytes a window.

    examples, firsts, lengths: (windows,) as `Window` has them, examples rising; lengths with the
        special tokens
    """

    def __init__(
        self, examples: Ids, firsts: Ids, lengths: NDArray[np.integer], make: MakeWindow
    ) -> None:
        self.examples, self._firsts, self._make = examples, firsts, make
        self.lengths: NDArray[np.int32] = lengths.astype(np.int32)

    def __len__(self) -> int:
        return len(self.examples)

    @overload
    def __getitem__(self, index: int) -> Window: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Window]: ...
    def __getitem__(self, index: int | slice) -> Window | Sequence[Window]:
        places = range(len(self))[index]
        if isinstance(places, range):
            return [self._window(place) for place in places]
        return self._window(places)

    def _window(self, place: int) -> Window:
        example, first = int(self.examples[place]), int(self._firsts[place])
        return self._make(example, first, int(self.lengths[place]))

    def chosen(self, places: Ids) -> Cut:
        """Some of the windows. places: (any,) their indices, examples rising."""
        examples, firsts = self.examples[places], self._firsts[places]
        return Cut(examples, firsts, self.lengths[places], self._make)


def cut(tokens: Iterable[int], max_tokens: int, overlap: int, frame: int, make: MakeWindow) -> Cut:
    """Examples of so many tokens as windows of at most `max_tokens`, `frame` of them special."""
    framed = (
        (example, piece, frame)
        for example, count in enumerate(tokens)
        for piece in pieces(count, max_tokens - frame, overlap)
    )
    return cut_of(framed, make)


def cut_of(framed: Iterable[tuple[int, slice, int]], make: MakeWindow) -> Cut:
    """Windows of pieces. framed: example, piece, and how many tokens are put before and behind."""
    examples, firsts, lengths = array("q"), array("q"), array("q")
    for example, piece, frame in framed:
        examples.append(example)
        firsts.append(piece.start)
        lengths.append(piece.stop - piece.start + frame)
    return Cut(np.array(examples), np.array(firsts), np.array(lengths), make)


def draw(windows: Cut, per_example: int, order: random.Random) -> Cut:
    """At most per_example windows of each example, so that long texts do not outweigh the rest."""
    _, starts, counts = np.unique(windows.examples, return_index=True, return_counts=True)
    kept = np.ones(len(windows), dtype=bool)
    for example in np.flatnonzero(counts > per_example):
        own = range(starts[example], starts[example] + counts[example])
        kept[own.start : own.stop] = False
        kept[order.sample(own, per_example)] = True
    return windows.chosen(np.flatnonzero(kept))


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
    windows: Cut, size: int, padding_id: int, order: random.Random | None = None
) -> Iterator[Batch]:
    """The windows in batches of like length: in the order drawn, or shortest first without one."""
    ranked = np.arange(len(windows))
    drawn = np.random.default_rng(order.getrandbits(64)) if order else None
    if drawn:
        drawn.shuffle(ranked)  # so that windows of one length meet others each time
    ranked = ranked[np.argsort(windows.lengths[ranked], kind="stable")]
    firsts = np.arange(0, len(ranked), size)
    if drawn:
        drawn.shuffle(firsts)
    for first in firsts:
        yield pad([windows[place] for place in ranked[first : first + size]], padding_id)


def mixed(windows: Sequence[Window], most: int, padding_id: int) -> list[Batch]:
    """Some windows in batches of unlike lengths: what padding could leak into."""
    order = random.Random(0)  # noqa: S311  # an order to be repeated, not a secret
    places = order.sample(range(len(windows)), min(len(windows), most))
    chosen = [windows[place] for place in places]
    return [pad(chosen[first : first + 16], padding_id) for first in range(0, len(chosen), 16)]
