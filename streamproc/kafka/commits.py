"""Committing the low watermark, one commit at a time, and knowing how far behind it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from streamproc.clock import Clock
from streamproc.kafka.offsets import OffsetTracker
from streamproc.messages.record import TopicPartition

Commit = Callable[[Mapping[TopicPartition, int]], Awaitable[bool]]


class Committer:
    """Commits what the tracker allows, and nothing else.

    commit: stores offsets for the group; False when the group has moved on meanwhile
    """

    def __init__(self, tracker: OffsetTracker, commit: Commit, clock: Clock) -> None:
        self._tracker = tracker
        self._commit = commit
        self._clock = clock
        self._committed: dict[TopicPartition, int] = {}
        self._behind_since: float | None = None
        # One at a time: a commit that was overtaken by a later one would put offsets back.
        self._lock = asyncio.Lock()

    async def commit(self) -> None:
        """Commit every low watermark that has moved; returns when the broker has stored them."""
        async with self._lock:
            pending = self._pending()
            if pending and await self._commit(pending):
                still_ours = self._tracker.assigned()
                self._committed |= {tp: at for tp, at in pending.items() if tp in still_ours}
                self._behind_since = None
                self.note()

    def note(self) -> None:
        """Remember since when something finished is waiting to be committed."""
        if self._behind_since is None and self._pending():
            self._behind_since = self._clock.monotonic_s()

    def forget(self) -> None:
        """Another assignment begins: nothing is known to be committed in it."""
        self._committed.clear()
        self._behind_since = None

    def behind_s(self) -> float:
        """Seconds since a finished request has been waiting for its commit; 0: none is."""
        since = self._behind_since
        return 0.0 if since is None else self._clock.monotonic_s() - since

    def _pending(self) -> dict[TopicPartition, int]:
        return {
            tp: offset
            for tp, offset in self._tracker.committable().items()
            if self._committed.get(tp) != offset
        }
