"""What handlers publish where offsets and answers are committed together: kept until they are.

A handler's records can't be sent as it publishes them: a transaction also commits a position, and
that one has to say that their request is finished. So they wait here; see `transactions.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Coroutine, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, ParamSpec

from streamproc.clock import Clock
from streamproc.errors import Invalid, TooLarge
from streamproc.kafka.commits import Position
from streamproc.kafka.offsets import Delivery
from streamproc.kafka.producer import Producer
from streamproc.messages.record import ProducerRecord, TopicPartition

Arguments = ParamSpec("Arguments")

NOT_TAKEN_S: Final = 30.0
"""How long no exposure is kept for a topic that took none: each would hold answers up."""


class KeptRecord(NamedTuple):
    """is_spare: rather lost than waited for, if its topic takes none"""

    record: ProducerRecord
    is_spare: bool = False

    @property
    def size_bytes(self) -> int:
        """Bytes of the record, and about as many of what it was made from, where that is kept."""
        return self.record.size_bytes * (1 if self.record.instead is None else 2)


@dataclass(slots=True, eq=False)
class _Collected:
    """The records of one run of a handler, in the order in which it published them.

    is_open: the handler still runs
    """

    records: list[KeptRecord] = field(default_factory=list)
    is_open: bool = True


@dataclass(slots=True, eq=False)
class _Finished:
    """What a finished request publishes, and the bytes that it counts for."""

    delivery: Delivery
    records: list[KeptRecord]
    size_bytes: int


# A handler has tasks of its own, which publish too; each task knows by it whose they are.
_collected: Final[ContextVar[_Collected | None]] = ContextVar("collected", default=None)


class Outbox:
    """The records of finished requests, by topic-partition and offset.

    kept, released: called with the bytes of what waits, and waits no longer; to be set
    """

    def __init__(self, producer: Producer, clock: Clock) -> None:
        self._producer = producer
        self._clock = clock
        self.kept: Callable[[Delivery, int], object] = lambda *_: None
        self.released: Callable[[Delivery, int], object] = lambda *_: None
        self._not_taken_until_s: dict[str, float] = {}
        self._running: dict[Delivery, _Collected] = {}
        self._finished: dict[TopicPartition, dict[int, _Finished]] = {}

    @property
    def waiting(self) -> int:
        """Finished requests whose answers are not committed yet."""
        return sum(map(len, self._finished.values()))

    def collecting(
        self, delivery: Delivery, handler: Callable[Arguments, Coroutine[Any, Any, None]]
    ) -> Callable[Arguments, Coroutine[Any, Any, None]]:
        """A handler whose records are kept for `finish`; those of a run that raises are dropped."""

        async def collected(*arguments: Arguments.args, **named: Arguments.kwargs) -> None:
            mine = _Collected()
            token = _collected.set(mine)
            try:
                await handler(*arguments, **named)
            finally:
                mine.is_open = False
                _collected.reset(token)
            self._running[delivery] = mine

        return collected

    def finish(self, delivery: Delivery, *, is_current: bool) -> None:
        """A request is finished; is_current: its topic-partition is still assigned as it was."""
        collected = self._running.pop(delivery, None)
        if is_current and collected is not None and collected.records:
            by_offset = self._finished.setdefault(delivery.topic_partition, {})
            size_bytes = sum(kept.size_bytes for kept in collected.records)
            by_offset[delivery.offset] = _Finished(delivery, collected.records, size_bytes)
            self.kept(delivery, size_bytes)

    def waiting_of(self, topics: Container[str]) -> dict[Delivery, int]:
        """The requests that came by some topics, and the bytes of their answers."""
        return {
            one.delivery: one.size_bytes
            for tp, by_offset in self._finished.items()
            if tp.topic in topics
            for one in by_offset.values()
        }

    def covered(self, tp: TopicPartition, position: Position) -> list[KeptRecord]:
        """The records of all that a position says is finished, in the order of their requests."""
        waiting = self._finished.get(tp, {})
        return [kept for at in self._covered(tp, position) for kept in waiting[at].records]

    def spare(self, tp: TopicPartition, topic: str) -> None:
        """Do without what is not worth waiting for: its topic takes no records."""
        self._not_taken_until_s[topic] = self._clock.monotonic_s() + NOT_TAKEN_S
        for one in self._finished.get(tp, {}).values():
            one.records = [
                kept for kept in one.records if not kept.is_spare or kept.record.topic != topic
            ]

    def give_up(self, tp: TopicPartition, record: ProducerRecord, refusal: Invalid) -> bool:
        """Keep what is to be sent instead of a record that its topic refuses; whether there is any.

        refusal: why
        """
        if record.instead is None:
            return False
        instead = record.instead(refusal)
        for one in self._finished.get(tp, {}).values():
            one.records = [
                KeptRecord(instead) if kept.record is record else kept for kept in one.records
            ]
        return True

    def committed(self, tp: TopicPartition, position: Position) -> None:
        """A position is committed, and all that it says is finished."""
        waiting = self._finished.get(tp, {})
        self._release(waiting.pop(at) for at in self._covered(tp, position))

    def _covered(self, tp: TopicPartition, position: Position) -> list[int]:
        above = position.finished
        waiting = self._finished.get(tp, ())
        return sorted(at for at in waiting if at < position.offset or at in above)

    def forget(self, topic_partitions: Iterable[TopicPartition]) -> None:
        """These are no longer ours: whoever has them makes their answers again."""
        for tp in topic_partitions:
            self._release(self._finished.pop(tp, {}).values())

    async def send(self, record: ProducerRecord) -> None:
        """Keep a record of the handler that runs; it is stored when its offset is committed.

        Raises TooLarge as the producer does. Outside of a handler it is sent at once.
        """
        collected = _collected.get()
        if collected is None or not collected.is_open:
            await self._producer.send(record)
            return
        if not record.is_last_resort:
            self._producer.refuse_size(record)
        collected.records.append(KeptRecord(record))

    async def hand_over(self, record: ProducerRecord) -> asyncio.Future[bool]:
        """The same for a record that is not worth a request; what it returns is done at once."""
        collected = _collected.get()
        if collected is None or not collected.is_open:
            return await self._producer.hand_over(record)
        kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        kept.set_result(self._would_take(record))
        if kept.result():
            collected.records.append(KeptRecord(record, is_spare=True))
        return kept

    async def hand_over_part(self, record: ProducerRecord) -> asyncio.Future[bool]:
        """Send a part of an answer's text by itself; returns once it is stored, or is not.

        The answer goes by another producer, which would overtake a part that is on its way.
        """
        handed_over = await self._producer.hand_over(record)
        await handed_over
        return handed_over

    def _would_take(self, record: ProducerRecord) -> bool:
        try:
            self._producer.refuse_size(record)
        except TooLarge:
            return False
        return self._clock.monotonic_s() >= self._not_taken_until_s.get(record.topic, 0.0)

    def _release(self, ended: Iterable[_Finished]) -> None:
        for one in ended:
            self.released(one.delivery, one.size_bytes)
