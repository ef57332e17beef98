"""What handlers publish while answers are committed with their offsets."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from streamproc.errors import RefusedRecord, TooLarge
from streamproc.kafka.commits import Position
from streamproc.kafka.offsets import Delivery
from streamproc.kafka.outbox import NOT_TAKEN_S, Outbox
from streamproc.messages.record import ProducerRecord, Record, TopicPartition
from streamproc.testing import ManualClock
from tests.support.instead import letter

TP = TopicPartition("rq", 0)
RECORD = Record("rq", 0, 5, 0, b"k", b"v")
DELIVERY = Delivery(TP, 5, 1)
ANSWER = ProducerRecord("rs", b"k", b"answer")


class Sent:
    """A producer that remembers what it was given, and refuses what is larger than a limit."""

    def __init__(self) -> None:
        self.sent: list[ProducerRecord] = []
        self.handed_over: list[ProducerRecord] = []
        self.stored: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def send(self, record: ProducerRecord) -> None:
        self.sent.append(record)

    async def hand_over(self, record: ProducerRecord) -> asyncio.Future[bool]:
        self.handed_over.append(record)
        return self.stored

    def refuse_size(self, record: ProducerRecord) -> None:
        if record.size_bytes > 1000:
            raise TooLarge("record too large", "more than 1000 bytes")


class Scene:
    """An outbox, and what it counts."""

    def __init__(self) -> None:
        self.producer = Sent()
        self.clock = ManualClock()
        self.outbox = Outbox(cast("Any", self.producer), self.clock)
        self.counted = 0
        self.outbox.kept = lambda _, size_bytes: self._count(size_bytes)
        self.outbox.released = lambda _, size_bytes: self._count(-size_bytes)

    def _count(self, size_bytes: int) -> None:
        self.counted += size_bytes

    async def handle(self, *answers: ProducerRecord) -> None:
        async def handler(_: Record) -> None:
            for answer in answers:
                await self.outbox.send(answer)

        await self.outbox.collecting(DELIVERY, handler)(RECORD)

    def waiting(self, below: int = 10) -> list[ProducerRecord]:
        return [kept.record for kept in self.outbox.covered(TP, Position(below))]


async def test_an_answer_waits_until_its_offset_is_committed_and_counts_meanwhile() -> None:
    scene = Scene()
    await scene.handle(ANSWER)
    scene.outbox.finish(DELIVERY, is_current=True)

    assert scene.waiting(below=5) == []
    assert scene.waiting(below=6) == [ANSWER]
    assert scene.counted == ANSWER.size_bytes
    assert scene.producer.sent == []
    scene.outbox.committed(TP, Position(6))
    assert (scene.waiting(), scene.counted) == ([], 0)


async def test_what_is_finished_for_an_earlier_assignment_is_dropped() -> None:
    scene = Scene()
    await scene.handle(ANSWER)
    scene.outbox.finish(DELIVERY, is_current=False)
    assert (scene.waiting(), scene.counted) == ([], 0)


async def test_what_a_task_of_a_handler_publishes_is_its_answer_too() -> None:
    scene = Scene()

    async def handler(_: Record) -> None:
        await asyncio.create_task(scene.outbox.send(ANSWER))

    await scene.outbox.collecting(DELIVERY, handler)(RECORD)
    scene.outbox.finish(DELIVERY, is_current=True)
    assert scene.waiting() == [ANSWER]


async def test_a_task_that_outlives_its_handler_publishes_by_itself() -> None:
    scene, go_on = Scene(), asyncio.Event()
    shadows: list[asyncio.Task[None]] = []

    async def shadow() -> None:
        await go_on.wait()
        await scene.outbox.send(ANSWER)

    async def handler(_: Record) -> None:
        shadows.append(asyncio.create_task(shadow()))

    await scene.outbox.collecting(DELIVERY, handler)(RECORD)
    scene.outbox.finish(DELIVERY, is_current=True)
    go_on.set()
    await shadows[0]
    assert (scene.waiting(), scene.producer.sent) == ([], [ANSWER])


async def test_an_answer_that_is_too_large_is_refused_to_its_handler() -> None:
    scene = Scene()
    large = ProducerRecord("rs", b"k", b"x" * 2000)
    with pytest.raises(TooLarge):
        await scene.handle(large)


async def test_an_answer_that_its_topic_refuses_gives_way_to_what_is_sent_instead() -> None:
    scene, refusal = Scene(), RefusedRecord("refused by its topic", "its timestamp")
    answer = ProducerRecord("rs", b"k", b"answer", instead=letter)
    await scene.handle(ANSWER, answer)
    scene.outbox.finish(DELIVERY, is_current=True)

    assert scene.outbox.give_up(TP, answer, refusal)
    sent_instead = ProducerRecord("dead", None, b"refused by its topic")
    assert scene.waiting() == [ANSWER, sent_instead]
    assert not scene.outbox.give_up(TP, sent_instead, refusal)
    scene.outbox.committed(TP, Position(6))
    assert scene.counted == 0


async def test_a_part_is_stored_before_what_follows_it() -> None:
    scene = Scene()
    handing = asyncio.create_task(scene.outbox.hand_over_part(ANSWER))
    await asyncio.sleep(0)
    assert scene.producer.handed_over == [ANSWER]
    assert not handing.done()
    scene.producer.stored.set_result(True)
    assert await (await handing)


async def test_an_exposure_is_done_without_where_its_topic_takes_none() -> None:
    scene = Scene()
    exposure = ProducerRecord("exposures", b"k", b"e")
    kept: list[bool] = []

    async def handler(_: Record) -> None:
        await scene.outbox.send(ANSWER)
        kept.append(await (await scene.outbox.hand_over(exposure)))

    await scene.outbox.collecting(DELIVERY, handler)(RECORD)
    scene.outbox.finish(DELIVERY, is_current=True)
    assert scene.waiting() == [ANSWER, exposure]
    scene.outbox.spare(TP, "exposures")
    assert scene.waiting() == [ANSWER]

    await scene.outbox.collecting(DELIVERY, handler)(RECORD)
    scene.clock.advance(NOT_TAKEN_S)
    await scene.outbox.collecting(DELIVERY, handler)(RECORD)
    assert kept == [True, False, True]
