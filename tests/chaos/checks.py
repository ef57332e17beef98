"""What the group has committed, held against what is answered by then."""

from __future__ import annotations

import asyncio
import time

from aiokafka import TopicPartition

from streamproc.kafka.finished_offsets import found_beside
from tests.chaos.asked import Asked, Window
from tests.chaos.load import Load
from tests.chaos.watch import Watch, position_of, twice_so_far
from tests.support.topics import Position, committed_positions
from tests.support.verifier import twice_by_cause

LATE_S = 30
"""How much later answers may be seen than the commit of their transaction."""


class Checks:
    """Made after each fault."""

    def __init__(self, bootstrap_servers: str, group: str, load: Load, watch: Watch) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._group = group
        self._load = load
        self._watch = watch
        self._seen: list[tuple[dict[TopicPartition, int], set[Position]]] = []

    async def note(self) -> None:
        """What is answered and not committed, which tells later why it came twice."""
        positions = await committed_positions(self._bootstrap_servers, self._group)
        above = {tp: found_beside(at.metadata, at.offset) for tp, at in positions.items()}
        uncommitted = set()
        for one in self._current():
            at = positions.get(TopicPartition(one.topic, one.partition))
            is_open = at is None or (one.offset >= at.offset and one.offset not in above[_of(one)])
            if is_open and one.id in self._watch.answered:
                uncommitted.add(position_of(one))
        named = {
            TopicPartition(self._name(tp.topic), tp.partition): at.offset
            for tp, at in positions.items()
        }
        self._seen.append((named, uncommitted))

    async def too_early(self, window: Window) -> None:
        """Count what lies below a committed offset and has no answer."""
        positions = await committed_positions(self._bootstrap_servers, self._group)
        committed = {tp: at.offset for tp, at in positions.items()}
        below = [one for one in self._current() if one.offset < committed.get(_of(one), 0)]
        until_s = time.monotonic() + LATE_S
        while below := [one for one in below if not self._is_through(one)]:
            if time.monotonic() > until_s:
                break
            await asyncio.sleep(0.2)
        window.too_early += len(below)

    def twice_by_cause(self) -> dict[str, int]:
        """What was answered more than once, by what the group had committed of it."""
        return twice_by_cause(twice_so_far(self._watch, self._load.asked), self._seen)

    def _current(self) -> list[Asked]:
        """What lies in topics as they are now."""
        return [one for one in self._load.asked if one.log == self._load.logs[one.topic]]

    def _is_through(self, one: Asked) -> bool:
        return one.id in self._watch.answered or one.id in self._load.gone

    def _name(self, topic: str) -> str:
        log = self._load.logs[topic]
        return f"{topic}/{log}" if log else topic


def _of(one: Asked) -> TopicPartition:
    return TopicPartition(one.topic, one.partition)
