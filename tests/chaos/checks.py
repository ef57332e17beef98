"""What the group has committed, held against what is answered by then."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping

from aiokafka import TopicPartition

from streamproc.kafka.finished_offsets import found_beside
from tests.chaos.asked import Asked, Window
from tests.chaos.sender import Sender
from tests.chaos.watch import Watch
from tests.support.topics import Position, committed, committed_positions

LATE_S = 30
"""How much later answers may be seen than the commit of their transaction."""

Committed = Mapping[TopicPartition, int]


class Checks:
    """Made after each fault."""

    def __init__(self, bootstrap_servers: str, group: str, sender: Sender, watch: Watch) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._group = group
        self._sender = sender
        self._watch = watch
        self._seen: list[tuple[Committed, set[Position]]] = []

    async def note(self) -> None:
        """What is answered and not committed, which tells later why it came twice."""
        positions = await committed_positions(self._bootstrap_servers, self._group)
        above = {tp: found_beside(at.metadata, at.offset) for tp, at in positions.items()}
        uncommitted = set()
        for one in self._current():
            at = positions.get(_of(one))
            is_open = at is None or (one.offset >= at.offset and one.offset not in above[_of(one)])
            if is_open and one.id in self._watch.answered:
                uncommitted.add(position_of(one))
        logs = self._sender.logs
        named = {
            TopicPartition(_named(tp.topic, logs[tp.topic]), tp.partition): at.offset
            for tp, at in positions.items()
        }
        self._seen.append((named, uncommitted))

    async def too_early(self, window: Window) -> None:
        """Count what lies below a committed offset and has no answer."""
        passed = below(self._current(), await committed(self._bootstrap_servers, self._group))
        until_s = time.monotonic() + LATE_S
        while passed := [one for one in passed if not self._is_through(one)]:
            if time.monotonic() > until_s:
                break
            await asyncio.sleep(0.2)
        window.too_early += len(passed)

    def twice_by_cause(self) -> dict[str, int]:
        """What was answered more than once, by what the group had committed of it."""
        times = {position_of(one): self._watch.ids[one.id] for one in self._sender.asked}
        return twice_by_cause(times, self._seen)

    def _current(self) -> list[Asked]:
        """What lies in topics as they are now."""
        sender = self._sender
        return [one for one in sender.asked if one.log == sender.logs[one.topic]]

    def _is_through(self, one: Asked) -> bool:
        return one.id in self._watch.answered or one.id in self._sender.gone


def below(asked: Iterable[Asked], offsets: Committed) -> list[Asked]:
    """Those that a committed offset has passed: they must have been answered."""
    return [one for one in asked if one.offset < offsets.get(_of(one), 0)]


def twice_by_cause(
    times: Mapping[Position, int], seen: Iterable[tuple[Committed, set[Position]]]
) -> dict[str, int]:
    """What was answered more than once, by what the group had committed of it.

    times: how often each was answered
    seen:  after each fault: what was committed, and what was answered and not committed
    """
    causes: dict[Position, str] = {}
    for offsets, uncommitted in seen:
        for topic, partition, offset in uncommitted:
            first = offsets.get(TopicPartition(topic, partition), 0)
            before = ((topic, partition, at) for at in range(first, offset))
            behind = all(at in uncommitted for at in before)
            cause = "since the last commit" if behind else "above the low watermark"
            causes[topic, partition, offset] = cause
    twice = (position for position, count in times.items() if count > 1)
    return dict(Counter(causes.get(position, "a rebalance") for position in twice))


def position_of(one: Asked) -> Position:
    """Where it lies; a topic that was made again is another."""
    return _named(one.topic, one.log), one.partition, one.offset


def _named(topic: str, log: int) -> str:
    return f"{topic}/{log}" if log else topic


def _of(one: Asked) -> TopicPartition:
    return TopicPartition(one.topic, one.partition)
