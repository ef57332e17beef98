"""Committing the low watermark, one commit at a time, and knowing how far behind it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, Protocol

from streamproc.clock import Clock
from streamproc.kafka.finished_offsets import beside, found_beside
from streamproc.kafka.log_ids import with_log
from streamproc.kafka.offsets import OffsetTracker
from streamproc.messages.record import TopicPartition


class Position(NamedTuple):
    """What is committed of a topic-partition: the next offset to read, and a mark beside it."""

    offset: int
    metadata: str = ""

    @property
    def finished(self) -> frozenset[int]:
        """The offsets above that are finished, as far as the metadata says."""
        return found_beside(self.metadata, self.offset)


Commit = Callable[[Mapping[TopicPartition, Position]], Awaitable[Mapping[TopicPartition, Position]]]
"""Stores positions for the group; returns those that are stored, by this call or one before."""


class Marks(Protocol):
    """What is kept beside offsets."""

    def metadata(self, tp: TopicPartition, *, moved: bool = False) -> str | None:
        """What to commit beside the offset; None: nothing is to be committed yet.

        moved: the low watermark has
        """
        ...

    def committed(self, tp: TopicPartition) -> int | None:
        """The offset that was committed when the assignment began."""
        ...

    def stored(self, tp: TopicPartition, metadata: str) -> None:
        """The broker has it."""
        ...


class Committer:
    """Commits what the tracker allows, and nothing else."""

    def __init__(
        self,
        tracker: OffsetTracker,
        commit: Commit,
        clock: Clock,
        marks: Marks,
        log_id: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        """log_id: of what is read of a topic, to be kept beside its offsets; None: not known"""
        self._tracker = tracker
        self._commit = commit
        self._clock = clock
        self._marks = marks
        self._log_id = log_id
        self._committed: dict[TopicPartition, Position] = {}
        self._published: dict[TopicPartition, frozenset[int]] = {}
        self._behind_since: float | None = None
        # One at a time: a commit that was overtaken by a later one would put offsets back.
        self._lock = asyncio.Lock()

    async def commit(self) -> bool:
        """Commit every position that has changed; whether the broker has stored all of them."""
        async with self._lock:
            pending = self._pending()
            if not pending:
                return True
            stored = await self._commit(pending)
            still_ours = self._tracker.assigned()
            for tp, position in stored.items():
                if tp in still_ours:
                    self._committed[tp] = position
                    self._published[tp] = position.finished
                    self._marks.stored(tp, position.metadata)
            is_all = stored.keys() >= pending.keys()
            if is_all:
                self._behind_since = None
                self.note()
            return is_all

    def note(self) -> None:
        """Remember since when something finished is waiting to be committed."""
        if self._behind_since is None and self._pending():
            self._behind_since = self._clock.monotonic_s()

    def begin(self, tp: TopicPartition, finished: frozenset[int]) -> None:
        """What was found beside the committed offset stays there until it is passed."""
        self._published[tp] = finished

    def forget(self) -> None:
        """Another assignment begins: nothing is known to be committed in it."""
        self._committed.clear()
        self._published.clear()
        self._behind_since = None

    def behind_s(self) -> float:
        """Seconds since a finished request has been waiting for its commit; 0: none is."""
        since = self._behind_since
        return 0.0 if since is None else self._clock.monotonic_s() - since

    def _pending(self) -> dict[TopicPartition, Position]:
        found = {}
        passed = self._tracker.committable()
        for tp in self._tracker.assigned():
            metadata = self._marks.metadata(tp, moved=tp in passed)
            offset = passed.get(tp, self._untouched(tp))
            if metadata is not None and offset is not None:
                metadata = with_log(metadata, self._log_id(tp.topic))
                position = Position(offset, self._with_finished(tp, offset, metadata))
                if self._committed.get(tp) != position:
                    found[tp] = position
        return found

    def _with_finished(self, tp: TopicPartition, offset: int, metadata: str) -> str:
        finished = self._tracker.finished_above(tp, offset)
        if not finished:
            return metadata
        published = self._published.get(tp, frozenset()).intersection(finished)
        return beside(metadata, offset, published, [at for at in finished if at not in published])

    def _untouched(self, tp: TopicPartition) -> int | None:
        """Where a topic-partition stands that nothing has been finished of: a mark goes there."""
        known = (self._marks.committed(tp), self._tracker.oldest_unfinished(tp))
        return min((offset for offset in known if offset is not None), default=None)
