"""What the stages of a request's way tell a tracer; the one here tells nobody.

A record that is consumed begins a span, which is current while its handler runs. All else is a
child of the current span, where there is one that is recorded, and nothing at all elsewhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final, Protocol, Self

from streamproc.messages.record import ProducerRecord, Record


class Handle(Protocol):
    """The whole way of one record."""

    async def __call__(self, record: Record) -> None:
        """Returns once what became of it is stored."""
        ...


Publish = Callable[[ProducerRecord], Awaitable[None]]


class ChunkSpans:
    """A chunk's part in the trace of its request; closed at the end of its `with` block."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def taken(self) -> None:
        """It waits no longer: from here on models work on it."""

    def current(self) -> AbstractContextManager[object]:
        """What members do inside the block, they do for this chunk alone."""
        return self

    def first_token(self) -> None:
        """The first token of what is written of it is there."""


class MemberSpan:
    """One member's work on a batch; closed at the end of its `with` block."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        pass

    def failed(self, items: int, error: str) -> None:
        """There is no result for so many items. error: the name of a type of errors"""


class EnsembleTracer:
    """Of the chunks, batches and members of one ensemble."""

    def chunk(self) -> ChunkSpans:
        """A chunk begins to wait for a model."""
        return _CHUNK

    def batch(
        self, chunks: Sequence[ChunkSpans], lengths: Sequence[int]
    ) -> AbstractContextManager[object]:
        """A batch is run while the block lasts; lengths: of its chunks, in tokens."""
        return _CHUNK

    def member(self, name: str, items: int) -> MemberSpan:
        """A member begins with a batch of so many items."""
        return _MEMBER


class Tracer:
    """Told nothing, and as good as free."""

    def consuming(self, handle: Handle) -> Handle:
        """The handler, each of whose calls is a span that continues the record's trace."""
        return handle

    def publishing(self, publish: Publish) -> Publish:
        """The publisher, each of whose calls is a span, which records name as theirs."""
        return publish

    def outcome(self, status: str, error: str | None = None) -> None:
        """What became of the record that is handled. error: the type of the problem"""

    def exemplar(self) -> dict[str, str] | None:
        """The labels that lead from a metric to the current trace, where that is recorded."""
        return None

    def ensemble(self, name: str) -> EnsembleTracer:
        """What the stages of an ensemble tell."""
        return NO_ENSEMBLE_TRACER


_CHUNK: Final = ChunkSpans()
_MEMBER: Final = MemberSpan()
NO_ENSEMBLE_TRACER: Final = EnsembleTracer()
NO_TRACER: Final = Tracer()
