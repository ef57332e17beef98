"""How far topic-partitions have been read, noted where the records are handed out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from streamproc.kafka.consumer_state import ConsumerState, ReadingProgress
from streamproc.kafka.private_api import assignment_of
from streamproc.messages.record import TopicPartition

# More often than offsets are committed, and no more often than that needs.
_INTERVAL_S: Final = 0.05


class HandedOut(list[Any]):
    """Records of a topic-partition that are handed out together.

    generation: of the assignment that they were read in
    after: the offset of the last one before them in this assignment; -1: they are the first
    """

    def __init__(self, records: Sequence[Any], generation: int, after: int) -> None:
        super().__init__(records)
        self.generation = generation
        self.after = after


class ProgressNotes:
    """Notes of the consumer's thread on one assignment after another."""

    def __init__(self, state: ConsumerState) -> None:
        self._state = state
        self._begun_at: dict[Any, int] = {}
        self._last_handed: dict[Any, int] = {}
        self._noted_at_s = 0.0

    def begin(self, committed: Mapping[Any, int | None] | None = None) -> None:
        """Another assignment begins, or the same one anew at the offsets committed."""
        self._begun_at = {tp: max(0, offset or 0) for tp, offset in (committed or {}).items()}
        self._last_handed = {}
        self._state.progress = {}

    def note(
        self, consumer: Any, generation: int, records: Mapping[Any, Sequence[Any]]
    ) -> dict[Any, HandedOut]:
        """The same records, each batch with what came before it.

        After they were taken from the fetcher, before anything else can be taken.
        """
        last = self._last_handed
        handed = {
            tp: HandedOut(batch, generation, last.get(tp, -1)) for tp, batch in records.items()
        }
        for tp, batch in records.items():
            last[tp] = batch[-1].offset
        now_s = time.monotonic()
        if now_s - self._noted_at_s >= _INTERVAL_S:
            self._noted_at_s = now_s
            self._state.progress = self._progress(consumer)
        return handed

    def _progress(self, consumer: Any) -> dict[TopicPartition, ReadingProgress]:
        assignment = assignment_of(consumer)
        found = {}
        for tp in assignment.tps if assignment else ():
            state, begun_at = assignment.state_value(tp), self._begun_at.get(tp)
            if begun_at is not None and state.has_valid_position:
                found[TopicPartition(tp.topic, tp.partition)] = ReadingProgress(
                    begun_at, self._last_handed.get(tp, -1), state.position
                )
        return found
