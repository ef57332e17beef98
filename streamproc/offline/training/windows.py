"""Token windows that an encoder learns from and is scored by, and batches of like length."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from streamproc.types import Int64Array

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

    ids: Int64Array
    type_ids: Int64Array
    target: Int64Array
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

    input_ids: Int64Array
    attention_mask: Int64Array
    token_type_ids: Int64Array
    targets: Int64Array
    windows: Sequence[Window]
    hidden: NDArray[np.float32] | None = None

    @property
    def lengths(self) -> Int64Array:
        """(windows,) how many tokens each one has."""
        return np.array([len(window.ids) for window in self.windows])


def pieces(tokens: int, room: int, overlap: int) -> Iterator[slice]:
    """Where a sequence is cut: pieces of at most `room`, neighbours sharing `overlap`."""
    for first in range(0, max(tokens - overlap, 1), room - overlap):
        yield slice(first, min(first + room, tokens))


# Makes the window of an example that begins at a token of it and has so many.
MakeWindow = Callable[[int, int, int], Window]


class Cut(Sequence[Window]):
    """Examples cut into windows, each made when it is asked for.

    In memory are three numbers an example, and one a window where only some are chosen.

    tokens:   (examples,) of each
    frames:   (examples,) how many special tokens are put around each piece of it
    overlaps: (examples,) tokens that neighbouring pieces share
    places:   (windows,) which of all windows, rising; none: all of them
    """

    def __init__(
        self,
        tokens: Int64Array,
        frames: Int64Array,
        max_tokens: int,
        overlaps: Int64Array,
        make: MakeWindow,
        places: Int64Array | None = None,
    ) -> None:
        self._tokens, self._frames, self._make = tokens, frames, make
        self._max_tokens, self._overlaps, self._places = max_tokens, overlaps, places
        # As `pieces` cuts: a new one each stride, as long as there are tokens not yet seen.
        stride = max_tokens - frames - overlaps
        counts = -(-np.maximum(tokens - overlaps, 1) // stride)
        self._stride, self._starts = stride, np.concatenate(([0], np.cumsum(counts)))

    def __len__(self) -> int:
        return int(self._starts[-1]) if self._places is None else len(self._places)

    @overload
    def __getitem__(self, index: int) -> Window: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Window]: ...
    def __getitem__(self, index: int | slice) -> Window | Sequence[Window]:
        found = range(len(self))[index]
        if isinstance(found, range):
            return self.some(np.array(found, dtype=np.int64))
        return self.some(np.array([found]))[0]

    def some(self, found: Int64Array) -> list[Window]:
        """Windows by their indices, in any order."""
        where = zip(*(own.tolist() for own in self._where(found)), strict=True)
        return [self._make(*own) for own in where]

    def chosen(self, found: Int64Array) -> Cut:
        """Some of the windows. found: (any,) their indices in this cut, rising."""
        return Cut(
            self._tokens,
            self._frames,
            self._max_tokens,
            self._overlaps,
            self._make,
            found if self._places is None else self._places[found],
        )

    @property
    def lengths(self) -> NDArray[np.int32]:
        """(windows,) tokens of each, with the special ones."""
        return self._where(np.arange(len(self)))[2].astype(np.int32)

    def runs(self) -> tuple[Int64Array, Int64Array, Int64Array]:
        """(examples,) each: which have windows here, where these begin, how many they are."""
        if self._places is None:
            return np.arange(len(self._tokens)), self._starts[:-1], np.diff(self._starts)
        examples = self._where(np.arange(len(self)))[0]
        return np.unique(examples, return_index=True, return_counts=True)

    def _where(self, found: Int64Array) -> tuple[Int64Array, Int64Array, Int64Array]:
        """(any,) each: example, first token, length."""
        places = found if self._places is None else self._places[found]
        examples = np.searchsorted(self._starts, places, side="right") - 1
        firsts = (places - self._starts[examples]) * self._stride[examples]
        frames = self._frames[examples]
        ends = np.minimum(firsts + self._max_tokens - frames, self._tokens[examples])
        return examples, firsts, ends - firsts + frames


def cut(tokens: Int64Array, max_tokens: int, overlap: int, frame: int, make: MakeWindow) -> Cut:
    """Examples of so many tokens as windows of at most `max_tokens`, `frame` of them special."""
    frames, overlaps = np.full_like(tokens, frame), np.full_like(tokens, overlap)
    return Cut(tokens, frames, max_tokens, overlaps, make)


def draw(windows: Cut, per_example: int, order: random.Random) -> Cut:
    """At most per_example windows of each example, so that long texts do not outweigh the rest."""
    _, starts, counts = windows.runs()
    long = counts > per_example
    drawn = [
        order.sample(range(start, start + count), per_example)
        for start, count in zip(starts[long].tolist(), counts[long].tolist(), strict=True)
    ]
    short, own = starts[~long], counts[~long]
    # All windows of the short ones: each one's first, and how far behind it each is.
    behind = np.arange(own.sum()) - np.repeat(np.cumsum(own) - own, own)
    kept = [np.repeat(short, own) + behind, np.array(drawn, dtype=np.int64).ravel()]
    return windows.chosen(np.sort(np.concatenate(kept)))


def pad(windows: Sequence[Window], padding_id: int) -> Batch:
    """The windows as one batch."""
    longest = max(len(window.ids) for window in windows)
    per_token = windows[0].target.shape == windows[0].ids.shape

    def padded(rows: Sequence[Int64Array], filler: int) -> Int64Array:
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
    lengths = windows.lengths
    ranked = ranked[np.argsort(lengths[ranked], kind="stable")]
    firsts = np.arange(0, len(ranked), size)
    if drawn:
        drawn.shuffle(firsts)
    for first in firsts:
        yield pad(windows.some(ranked[first : first + size]), padding_id)


def mixed(windows: Sequence[Window], most: int, padding_id: int) -> list[Batch]:
    """Some windows in batches of unlike lengths: what padding could leak into."""
    order = random.Random(0)  # noqa: S311  # an order to be repeated, not a secret
    places = order.sample(range(len(windows)), min(len(windows), most))
    chosen = [windows[place] for place in places]
    return [pad(chosen[first : first + 16], padding_id) for first in range(0, len(chosen), 16)]
