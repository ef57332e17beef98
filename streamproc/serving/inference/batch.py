"""What goes into a member, and what comes out of it or became of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from streamproc.messages.response import MemberStatus
from streamproc.serving.member_failures import MemberFailure, failure_status
from streamproc.serving.selection import Selection
from streamproc.types import Float32Array, FloatArray, Int64Array


class ModelInput(Protocol):
    """One sequence: ids and type_ids, each (tokens,) int64."""

    @property
    def ids(self) -> Int64Array: ...
    @property
    def type_ids(self) -> Int64Array: ...


Made = TypeVar("Made")
InputT = TypeVar("InputT", bound=ModelInput)


@dataclass(frozen=True, slots=True)
class BackboneOutput:
    """A sequence that an ensemble's prefix has run on.

    ids, type_ids: (tokens,) int64; hidden: (tokens, width), what members behind it take
    """

    ids: Int64Array
    type_ids: Int64Array
    hidden: Float32Array


@dataclass(frozen=True, slots=True)
class SelectedInput(Generic[InputT]):
    """A sequence that not all members have to be asked for."""

    sequence: InputT
    selection: Selection

    @property
    def ids(self) -> Int64Array:
        return self.sequence.ids

    @property
    def type_ids(self) -> Int64Array:
        return self.sequence.type_ids

    def __len__(self) -> int:
        return len(self.sequence.ids)


@dataclass(frozen=True, slots=True)
class MemberOutput:
    """One member's output for one sequence; `scores` is None unless it answered.

    scores: (outputs,), or (tokens, outputs) where there are scores for each token
    error: why it did not; None where it did, or was not asked
    """

    member: str
    scores: FloatArray | None
    error: MemberFailure | None = None

    @property
    def status(self) -> MemberStatus:
        """ok, skipped, late or failed."""
        if self.error is not None:
            return failure_status(self.error)
        return "skipped" if self.scores is None else "ok"


@dataclass(slots=True, eq=False)
class RanTogether:
    """Sequences of one batch that the same members have results for.

    answered: numbers of these members
    scores:   of each of them, for each sequence, as `MemberOutput` has them
    """

    sequences: Sequence[ModelInput]
    answered: Sequence[int]
    scores: Sequence[Sequence[FloatArray]]
    _worked_out: dict[Hashable, Any] = field(default_factory=dict)

    def work_out(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What is made of all sequences at once, by whoever needs it first."""
        if key not in self._worked_out:
            self._worked_out[key] = make()
        made: Made = self._worked_out[key]
        return made


class Row(tuple[MemberOutput, ...]):
    """What all members say of one sequence.

    together, place: what it ran beside, and where; None: nothing that all members have results for
    """

    together: RanTogether | None = None
    place: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded sequences, one a row.

    ids, mask, type_ids: (rows, longest) int64; mask is 1 at tokens and 0 at padding
    hidden: (rows, longest, width) where a prefix has run; none where none has
    """

    ids: Int64Array
    mask: Int64Array
    type_ids: Int64Array
    hidden: Float32Array | None = None

    @classmethod
    def pad(cls, sequences: Sequence[ModelInput]) -> Batch:
        """Pad at the end to the longest sequence."""
        shape = (len(sequences), max(len(sequence.ids) for sequence in sequences))
        # Padding is masked out, so which id stands there makes no difference.
        ids, mask, type_ids = (np.zeros(shape, np.int64) for _ in range(3))
        for row, sequence in enumerate(sequences):
            length = len(sequence.ids)
            ids[row, :length] = sequence.ids
            mask[row, :length] = 1
            type_ids[row, :length] = sequence.type_ids
        return cls(ids, mask, type_ids, _padded_hidden(sequences, shape))

    @property
    def lengths(self) -> list[int]:
        """How many tokens each row has."""
        return [int(length) for length in self.mask.sum(axis=1)]

    @property
    def padded_tokens(self) -> int:
        """What the batch costs a model."""
        return int(self.ids.size)


def _padded_hidden(sequences: Sequence[ModelInput], shape: tuple[int, int]) -> Float32Array | None:
    prefixed = [sequence.hidden for sequence in sequences if isinstance(sequence, BackboneOutput)]
    if not prefixed:
        return None
    hidden = np.zeros((*shape, prefixed[0].shape[1]), np.float32)
    for row, own in zip(hidden, prefixed, strict=True):
        row[: len(own)] = own
    return hidden
