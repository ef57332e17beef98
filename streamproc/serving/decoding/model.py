"""What decoding asks of a member: a first step, further steps, and rows to choose from and join."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from streamproc.serving.guarded_calls import Call
from streamproc.types import FloatArray, Int64Array


class Rows(Protocol):
    """What a member remembers of several sequences, a row each: its key-value cache."""

    def __len__(self) -> int: ...


RowsT = TypeVar("RowsT", bound=Rows)


class StepModel(Protocol[RowsT]):
    """One member of an ensemble that decodes; all calls come from model threads.

    A row's logits do not depend, to the bit, on what rows it is stepped beside.
    Every method raises MemberFailed and OutOfMemory.
    """

    name: str

    def start(self, ids: Int64Array, call: Call) -> tuple[FloatArray, RowsT]:
        """Read one sequence's input; returns (vocabulary,) logits of its first new token, one row.

        ids: (tokens,), the prompt of a decoder, or the source of an encoder-decoder
        """
        ...

    def step(self, rows: RowsT, tokens: Int64Array, call: Call) -> tuple[FloatArray, RowsT]:
        """Append a token to each row; returns (rows, vocabulary) logits of the next, and the rows.

        tokens: (rows,)
        """
        ...

    def select(self, rows: RowsT, indices: Sequence[int]) -> RowsT:
        """These rows in this order; one may be taken several times, or not at all."""
        ...

    def join(self, parts: Sequence[RowsT]) -> RowsT:
        """All rows of all parts, in order."""
        ...


@runtime_checkable
class ReadsOn(Protocol[RowsT]):
    """A StepModel that may read an input in pieces, a call each.

    piece_tokens: of each piece
    """

    piece_tokens: int

    def read_on(self, rows: RowsT, ids: Int64Array, call: Call) -> tuple[FloatArray, RowsT]:
        """As `start`, behind the one row that came of the pieces before; ids: (tokens,)"""
        ...


AnyStepModel = StepModel[Any]
"""What a member remembers of its rows is its own affair; others hand it back unread."""
