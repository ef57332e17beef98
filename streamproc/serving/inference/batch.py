"""What goes into a member, and what comes out of it or became of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar, overload

import numpy as np

from streamproc.frozen import frozen
from streamproc.messages.response import MemberStatus
from streamproc.serving.inference.device_array import DeviceArray
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


class HiddenBatch:
    """What a prefix has made of a batch: (rows, longest, width), on its device or here."""

    def __init__(self, values: Float32Array | DeviceArray) -> None:
        self._values = values

    @property
    def on_device(self) -> DeviceArray | None:
        """None where it is here."""
        return self._values if isinstance(self._values, DeviceArray) else None

    def here(self) -> Float32Array:
        """In host memory."""
        if isinstance(self._values, DeviceArray):
            return np.asarray(self._values.here(), np.float32)
        return self._values


@dataclass(frozen=True, slots=True, eq=False)
class HiddenStates:
    """Of one sequence: its row of a batch, of which so many tokens are its own."""

    batch: HiddenBatch
    row: int
    tokens: int

    @classmethod
    def of(cls, values: Float32Array) -> HiddenStates:
        """values: (tokens, width)"""
        return cls(HiddenBatch(values[None]), 0, len(values))

    def here(self) -> Float32Array:
        """(tokens, width), in host memory."""
        return self.batch.here()[self.row, : self.tokens]


@dataclass(frozen=True, slots=True)
class BackboneOutput:
    """A sequence that an ensemble's prefix has run on.

    ids, type_ids: (tokens,) int64; states: what members behind it take
    """

    ids: Int64Array
    type_ids: Int64Array
    states: HiddenStates

    @property
    def hidden(self) -> Float32Array:
        """(tokens, width)"""
        return self.states.here()


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


@frozen()
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
    hidden: (rows, longest, width) where a prefix has run, unless they are on its device
    hidden_on_device: the same, padding being anything; neither where no prefix has run
    """

    ids: Int64Array
    mask: Int64Array
    type_ids: Int64Array
    hidden: Float32Array | None = None
    hidden_on_device: DeviceArray | None = None

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
        prefixed = [one.states for one in sequences if isinstance(one, BackboneOutput)]
        on_device = _whole_batch_on_device(prefixed, shape)
        if not prefixed or on_device is not None:
            return cls(ids, mask, type_ids, hidden_on_device=on_device)
        return cls(ids, mask, type_ids, _padded(prefixed, shape))

    @property
    def lengths(self) -> list[int]:
        """How many tokens each row has."""
        return [int(length) for length in self.mask.sum(axis=1)]

    @property
    def padded_tokens(self) -> int:
        """What the batch costs a model."""
        return int(self.ids.size)


class Inputs(Sequence[ModelInput]):
    """Sequences that several members are asked for, padded once for all of them."""

    def __init__(self, sequences: Sequence[ModelInput]) -> None:
        self._sequences = sequences
        self._lock = Lock()
        self._batch: Batch | None = None

    @overload
    def __getitem__(self, index: int) -> ModelInput: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[ModelInput]: ...
    def __getitem__(self, index: int | slice) -> ModelInput | Sequence[ModelInput]:
        return self._sequences[index]

    def __len__(self) -> int:
        return len(self._sequences)

    def padded(self) -> Batch:
        """All of them; called from the members' threads, of which one pads."""
        with self._lock:
            if self._batch is None:
                self._batch = Batch.pad(self._sequences)
            return self._batch


def _whole_batch_on_device(
    prefixed: Sequence[HiddenStates], shape: tuple[int, int]
) -> DeviceArray | None:
    """What a prefix has left on its device, where these are all rows of it in their order."""
    on_device = prefixed[0].batch.on_device if prefixed else None
    if on_device is None or tuple(on_device.value.shape()[:2]) != shape:
        return None
    first = prefixed[0].batch
    in_order = all(one.batch is first and one.row == row for row, one in enumerate(prefixed))
    return on_device if in_order else None


def _padded(prefixed: Sequence[HiddenStates], shape: tuple[int, int]) -> Float32Array:
    hidden = np.zeros((*shape, prefixed[0].here().shape[1]), np.float32)
    for row, own in zip(hidden, prefixed, strict=True):
        row[: own.tokens] = own.here()
    return hidden
