"""Requests that were taken back: which ones are known, and the end of those under way.

The task that answers is cancelled here, and where its topic-partition is revoked or the worker
stops; only the first has an answer. `asyncio.timeout` tells its own cancel from others in the same
way.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from types import TracebackType
from typing import Final

from streamproc.clock import Clock
from streamproc.errors import Cancelled
from streamproc.messages.cancel import cancellable_id
from streamproc.messages.record import Record

MOST: Final = 32_768
"""Identifiers that are kept, a few hundred bytes each at most; the oldest go first."""
KEEP_S: Final = 600.0
"""Since a request was taken back: it may come behind its cancel, as out of a backlog."""


class Cancels:
    """The requests that were taken back lately, of all topics, and those that still may be."""

    def __init__(self, clock: Clock, *, most: int = MOST, keep_s: float = KEEP_S) -> None:
        self._clock = clock
        self._most = most
        self._keep_s = keep_s
        # When each is forgotten, in the order in which they came.
        self._known: OrderedDict[bytes, float] = OrderedDict()
        self._under_way: defaultdict[bytes, set[Cancellable]] = defaultdict(set)

    def __len__(self) -> int:
        self._forget()
        return len(self._known)

    def __contains__(self, correlation_id: bytes) -> bool:
        return self._known.get(correlation_id, 0.0) > self._clock.monotonic_s()

    def take(self, correlation_id: bytes, age_s: float = 0.0) -> None:
        """A request was taken back so long ago; ends its answer, where that is under way.

        What is known is not kept longer, so that reading a topic again changes nothing.
        """
        if age_s >= self._keep_s or correlation_id in self:
            return
        self._known.pop(correlation_id, None)
        self._known[correlation_id] = self._clock.monotonic_s() + self._keep_s - age_s
        self._forget()
        for one in self._under_way.get(correlation_id, ()):
            one.end()

    def cancellable(self, record: Record) -> Cancellable:
        """What a record's request is answered in: it raises Cancelled once that is taken back."""
        return Cancellable(self, cancellable_id(record))

    def begin(self, correlation_id: bytes, one: Cancellable) -> None:
        """An answer is under way."""
        self._under_way[correlation_id].add(one)

    def finish(self, correlation_id: bytes, one: Cancellable) -> None:
        """It is not any more."""
        found = self._under_way[correlation_id]
        found.discard(one)
        if not found:
            del self._under_way[correlation_id]

    def _forget(self) -> None:
        now_s = self._clock.monotonic_s()
        while self._known:
            oldest = next(iter(self._known.values()))
            if len(self._known) <= self._most and oldest > now_s:
                return
            self._known.popitem(last=False)


class Cancellable:
    """An asynchronous context manager around one answer, in the task that answers."""

    def __init__(self, cancels: Cancels, correlation_id: bytes | None) -> None:
        """correlation_id: None of a request that can't be taken back"""
        self._cancels = cancels
        self._id = correlation_id
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._is_ended = False

    async def __aenter__(self) -> None:
        """Raises Cancelled where the request was taken back before."""
        if self._id is None:
            return
        if self._id in self._cancels:
            raise Cancelled(is_begun=False)
        self._task = asyncio.current_task()
        if self._task is not None:
            self._cancelling = self._task.cancelling()
            self._cancels.begin(self._id, self)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raises Cancelled where that, and nothing else, has cancelled the task."""
        if self._id is None or self._task is None:
            return
        self._cancels.finish(self._id, self)
        if not self._is_ended:
            return
        # Whoever else has cancelled the task wants no answer of it.
        is_ours = self._task.uncancel() <= self._cancelling
        if is_ours and isinstance(error, asyncio.CancelledError):
            raise Cancelled(is_begun=True) from error

    def end(self) -> None:
        """Cancel what is inside."""
        if self._task is not None and not self._is_ended:
            self._is_ended = True
            self._task.cancel()
