"""What the group has committed, held against what is answered by then."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Set

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
    """Made after each fault. is_once: answers come in transactions, with what is committed"""

    def __init__(
        self, bootstrap_servers: str, group: str, sender: Sender, watch: Watch, *, is_once: bool
    ) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._group = group
        self._sender = sender
        self._watch = watch
        self._is_once = is_once
        self._seen: list[tuple[Committed, set[Position]]] = []

    async def at_once(self, window: Window) -> None:
        """What is answered and not committed, which tells later why it came twice; and the reverse.

        The latter not of transactions, nor of a topic that was made again, as a group has the
        offsets of the one before for a moment.
        """
        positions = await committed_positions(self._bootstrap_servers, self._group)
        await self._watch.catch_up()
        above = {tp: found_beside(at.metadata, at.offset) for tp, at in positions.items()}
        offsets = {tp: at.offset for tp, at in positions.items()}
        uncommitted = {
            position_of(one)
            for one in self._current()
            if one.id in self._watch.answered
            and one.offset >= offsets.get(_of(one), 0)
            and one.offset not in above.get(_of(one), ())
        }
        logs = self._sender.logs
        named = {
            TopicPartition(_named(tp.topic, logs[tp.topic]), tp.partition): offset
            for tp, offset in offsets.items()
        }
        self._seen.append((named, uncommitted))
        if not self._is_once:
            first = [one for one in self._current() if not one.log]
            window.too_early += len(too_early(first, offsets, self._through()))

    async def in_the_end(self, window: Window) -> None:
        """Count what lies below a committed offset and gets no answer."""
        offsets = await committed(self._bootstrap_servers, self._group)
        until_s = time.monotonic() + LATE_S
        while early := too_early(self._current(), offsets, self._through()):
            if time.monotonic() > until_s:
                break
            await asyncio.sleep(0.2)
        window.too_early += len(early)

    def twice_by_cause(self) -> dict[str, int]:
        """What was answered more than once, by what the group had committed of it."""
        times = {position_of(one): self._watch.ids[one.id] for one in self._sender.asked}
        return twice_by_cause(times, self._seen)

    def _current(self) -> list[Asked]:
        """What lies in topics as they are now."""
        sender = self._sender
        return [one for one in sender.asked if one.log == sender.logs[one.topic]]

    def _through(self) -> set[str]:
        return self._watch.answered.keys() | self._sender.gone


def too_early(asked: Iterable[Asked], offsets: Committed, through: Set[str]) -> list[Asked]:
    """What a committed offset has passed although it is not through. through: ids"""
    passed = (one for one in asked if one.offset < offsets.get(_of(one), 0))
    return [one for one in passed if one.id not in through]


def twice_by_cause(
    times: Mapping[Position, int], seen: Iterable[tuple[Committed, set[Position]]]
) -> dict[str, int]:
    """What was answered more than once, by what the group had committed of it.

    times: how often each was answered
    seen:  after each fault: what was committed, and what was answered and not committed
    """
    twice = {position for position, count in times.items() if count > 1}
    causes: dict[Position, str] = {}
    for offsets, uncommitted in seen:
        for topic, partition, offset in uncommitted & twice:
            first = offsets.get(TopicPartition(topic, partition), 0)
            before = ((topic, partition, at) for at in range(first, offset))
            behind = all(at in uncommitted for at in before)
            cause = "since the last commit" if behind else "above the low watermark"
            causes[topic, partition, offset] = cause
    return dict(Counter(causes.get(position, "a rebalance") for position in twice))


def position_of(one: Asked) -> Position:
    """Where it lies; a topic that was made again is another."""
    return _named(one.topic, one.log), one.partition, one.offset


def _named(topic: str, log: int) -> str:
    return f"{topic}/{log}" if log else topic


def _of(one: Asked) -> TopicPartition:
    return TopicPartition(one.topic, one.partition)
