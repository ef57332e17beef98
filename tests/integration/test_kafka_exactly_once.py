"""Exactly once against a real Kafka: answers and offsets are committed together, or not at all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiokafka import TopicPartition as ClientTopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import ProducerFenced
from structlog.testing import capture_logs

from streamproc.errors import Invalid, OperatorError, WorkerFault
from streamproc.kafka.commits import Position
from streamproc.kafka.dispatcher import Subscription
from streamproc.kafka.hand_over import hand_over_to
from streamproc.kafka.ledger import read_positions
from streamproc.kafka.outbox import Outbox
from streamproc.kafka.producer import Producer
from streamproc.kafka.topic_reader import read_topic
from streamproc.kafka.transactional_producer import KafkaTransactions
from streamproc.kafka.worker import KafkaWorker
from streamproc.messages.lane import Lane
from streamproc.messages.record import ProducerRecord, Record, TopicPartition
from tests.support.kafka_place import (
    CLOCK,
    Place,
    Working,
    run,
    until,
    until_answered,
    until_committed,
)

pytestmark = pytest.mark.kafka
Answer = Callable[[Outbox, Record], Awaitable[None]]


@pytest.fixture
async def place(kafka: str) -> Place:
    made = Place(kafka, topic_partitions=4)
    await made.make()
    made.settings = made.settings.model_copy(update={"delivery": "exactly_once"})
    return made


@asynccontextmanager
async def answering(place: Place, answer: Answer) -> AsyncIterator[Working]:
    """A worker whose answers are committed with their offsets."""
    producer = Producer(place.settings, CLOCK)
    outbox = Outbox(producer, CLOCK)

    async def handler(record: Record) -> None:
        await answer(outbox, record)

    subscriptions = [
        Subscription(place.requests, Lane.INTERACTIVE, handler),
        Subscription(place.bulk, Lane.BULK, handler),
    ]
    worker = KafkaWorker(
        place.settings, subscriptions, clock=CLOCK, producer=producer, outbox=outbox
    )
    async with run(worker) as running:
        yield running


def echo(place: Place) -> Answer:
    async def answer(outbox: Outbox, record: Record) -> None:
        await outbox.send(ProducerRecord(place.responses, record.key, record.value))

    return answer


async def test_every_request_is_answered_once_and_committed_with_its_answer(place: Place) -> None:
    keys = await place.send(300) | await place.send(200, place.bulk)
    async with answering(place, echo(place)) as (_, stop, running):
        answers = await until_answered(place, keys)
        stop.set()
        await running
    assert answers == Counter(keys)
    assert sum((await place.committed()).values()) == 500


async def test_a_stop_commits_what_is_finished_and_the_next_answers_the_rest(
    place: Place,
) -> None:
    place.settings = place.settings.model_copy(update={"drain_timeout_s": 0.5})
    keys = await place.send(100)
    seen = 0

    async def hang_at_the_eighth(outbox: Outbox, record: Record) -> None:
        nonlocal seen
        seen += 1
        if record.offset == 7:
            await asyncio.Event().wait()
        await outbox.send(ProducerRecord(place.responses, record.key, record.value))

    async with answering(place, hang_at_the_eighth) as (worker, stop, running):
        await until(lambda: seen == 100, running)
        await until(lambda: worker.in_flight == 4, running)
        stop.set()
        await running
    assert await place.committed() == {(place.requests, number): 7 for number in range(4)}
    # Those behind the eighth are named beside the offset.
    assert (await place.answers()).total() == 96
    async with answering(place, echo(place)):
        answers = await until_answered(place, keys)
    assert answers == Counter(keys)


async def test_workers_that_join_and_leave_answer_nothing_twice(place: Place) -> None:
    async def slowly(outbox: Outbox, record: Record) -> None:
        await asyncio.sleep(0.05)
        await outbox.send(ProducerRecord(place.responses, record.key, b""))

    keys: set[bytes] = set()
    async with answering(place, slowly) as (first, _, _running):
        sending = asyncio.create_task(place.send(1500))
        async with answering(place, slowly) as (second, _, _running):
            keys |= await sending
            await until(lambda: len(second.assigned) == 4)
            await until(lambda: len(first.assigned) == 4)
            keys |= await place.send(500, place.bulk)
        answers = await until_answered(place, keys, 100)
    assert answers == Counter(keys)


async def test_answers_of_a_try_that_failed_are_not_published(place: Place) -> None:
    keys = await place.send(20)
    tried: set[tuple[int, int]] = set()

    async def fail_once(outbox: Outbox, record: Record) -> None:
        await outbox.send(ProducerRecord(place.responses, record.key, record.value))
        where = record.topic_partition, record.offset
        if where not in tried:
            tried.add(where)
            raise RuntimeError("a bug that passes")

    async with answering(place, fail_once) as (_, _stop, _running):
        answers = await until_answered(place, keys)
    assert answers == Counter(keys)


async def test_a_worker_whose_place_was_taken_commits_nothing_more_and_ends(place: Place) -> None:
    keys = await place.send(40)
    tp = TopicPartition(place.requests, 0)
    async with answering(place, echo(place)) as (_, _stop, running):
        await until_answered(place, keys)
        before = (await place.committed())[tp.topic, tp.topic_partition]
        other = await connected(place, tp)
        more = await place.send(40, name="more")
        with pytest.raises(WorkerFault, match=rf"transactions of {tp} are another worker's"):
            await asyncio.wait_for(running, 60)
        assert (await place.committed())[tp.topic, tp.topic_partition] == before
        await other.close()
    async with answering(place, echo(place)):
        answers = await until_answered(place, keys | more)
    assert answers == Counter(keys | more)


async def test_a_transaction_that_was_left_open_is_ended_by_the_next_to_connect(
    place: Place,
) -> None:
    tp = TopicPartition(place.requests, 1)
    answer = ProducerRecord(place.responses, b"k", b"v")
    killed = await connected(place, tp)
    await killed._client.begin_transaction()
    await (await hand_over_to(killed._client, answer))
    await killed._client.send_offsets_to_transaction(
        {ClientTopicPartition(tp.topic, tp.topic_partition): 9}, place.settings.group_id
    )
    following = await connected(place, tp)
    assert await read_positions(place.settings, [tp]) == {tp: None}
    with pytest.raises(ProducerFenced):
        await killed._client.commit_transaction()
    await following.store([answer], Position(1, "m"))
    assert await read_positions(place.settings, [tp]) == {tp: Position(1, "m")}
    assert await place.answers() == Counter([b"k"])
    await killed.close()
    await following.close()


async def test_a_topic_made_again_with_transactions_under_way_is_answered_from_its_beginning(
    place: Place, kafka: str
) -> None:
    async def slowly(outbox: Outbox, record: Record) -> None:
        # Some are finished and not committed whenever the topic goes.
        await asyncio.sleep(0.001 * (record.offset % 50))
        await outbox.send(ProducerRecord(place.responses, record.key, record.value))

    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    async with answering(place, slowly) as (_, _stop, running):
        keys = await place.send(20)
        await until_answered(place, keys)
        more = await place.send(400, name="gone")
        await admin.delete_topics([place.requests])
        await place.make_again(admin)
        again = await place.send(600, name="again")
        answers = await until_answered(place, keys | again)
        assert not running.done()
    await admin.close()
    # Those of the old topic may have been answered before it went, and no more than once.
    assert {key: count for key, count in answers.items() if count != 1} == {}
    assert answers.keys() <= keys | more | again


async def test_a_transaction_that_ended_after_its_topic_was_made_again_hides_no_request_of_it(
    place: Place, kafka: str
) -> None:
    tps = [TopicPartition(place.requests, number) for number in range(4)]
    async with answering(place, echo(place)):
        keys = await place.send(40)
        await until_answered(place, keys)
        await until_committed(place, 40)
    left = await read_positions(place.settings, tps)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.delete_topics([place.requests])
    await place.make_again(admin)
    await admin.close()
    # More than there were: the offsets of the old topic lie in the middle of them.
    again = await place.send(400, name="again")
    # As that of a worker which was killed before it noticed.
    for tp, position in left.items():
        late = await KafkaTransactions.connect(place.settings, tp, 1 << 20, CLOCK)
        assert position is not None
        await late.store([], position)
        await late.close()
    with capture_logs() as logs:
        async with answering(place, echo(place)):
            answers = await until_answered(place, keys | again)
            await until_committed(place, 400)
    assert answers == Counter(keys | again)
    told = [line["topic"] for line in logs if line["event"].startswith("topic was recreated")]
    assert told == [place.requests]


async def test_a_topic_that_rejects_answers_holds_up_those_that_need_it_and_is_told(
    place: Place, kafka: str
) -> None:
    small = Place(kafka, topic_partitions=1)
    await small.make(responses={"max.message.bytes": "2000"})
    small.settings = small.settings.model_copy(update={"delivery": "exactly_once"})
    await small.send(3, size_bytes=5000)

    async with answering(small, echo(small)) as (worker, _, running):
        await until(lambda: "max.message.bytes" in str(worker.not_ready()), running)
        assert await small.committed() == {(small.requests, 0): 0}
        assert not await small.answers()
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        await admin.start()
        resource = ConfigResource(
            ConfigResourceType.TOPIC, small.responses, {"max.message.bytes": "100000"}
        )
        await admin.alter_configs([resource])
        await admin.close()
        await until(worker.ready, running)
        answers = await until_answered(small, {b"i-0", b"i-1", b"i-2"})
    assert answers.total() == 3


@pytest.mark.parametrize(
    ("config", "timestamp_ms", "size_bytes", "says"),
    [
        ({"message.timestamp.before.max.ms": "60000"}, 1_000, 10, "refused by its topic"),
        ({"max.message.bytes": "2000"}, None, 5_000, "record too large"),
    ],
)
async def test_an_answer_that_its_topic_takes_in_no_case_is_given_up_and_others_are_stored(
    kafka: str, config: dict[str, str], timestamp_ms: int | None, size_bytes: int, says: str
) -> None:
    place = Place(kafka, topic_partitions=1)
    await place.make(responses=config)
    place.settings = place.settings.model_copy(update={"delivery": "exactly_once"})
    keys = await place.send(40)

    async def answer(outbox: Outbox, record: Record) -> None:
        key = record.key
        if key not in (b"i-3", b"i-17"):
            await outbox.send(ProducerRecord(place.responses, key, b"answer"))
            return

        def letter(reason: Invalid) -> ProducerRecord:
            return ProducerRecord(place.responses, key, reason.title.encode())

        value = b"x" * size_bytes
        await outbox.send(
            ProducerRecord(place.responses, key, value, timestamp_ms=timestamp_ms, instead=letter)
        )

    async with answering(place, answer) as (worker, _, running):
        answers = await until_answered(place, keys)
        await until_committed(place, 40)
        await until(worker.ready, running)
    assert answers == Counter(keys)
    stored = {
        record.key: record.value async for record in read_topic(place.settings, place.responses)
    }
    given_up = {key for key, value in stored.items() if value == says.encode()}
    assert given_up == {b"i-3", b"i-17"}


async def test_a_hundred_topic_partitions_have_a_producer_each(kafka: str) -> None:
    wide = Place(kafka, topic_partitions=50)
    await wide.make()
    wide.settings = wide.settings.model_copy(update={"delivery": "exactly_once"})
    keys = await wide.send(200) | await wide.send(200, wide.bulk)
    async with answering(wide, echo(wide)) as (worker, stop, running):
        await until(lambda: len(worker.assigned) == 100, running)
        answers = await until_answered(wide, keys)
        stop.set()
        await running
    assert answers == Counter(keys)
    assert sum((await wide.committed()).values()) == 400


async def connected(place: Place, tp: TopicPartition) -> KafkaTransactions:
    return await KafkaTransactions.connect(place.settings, tp, 1 << 20, CLOCK)


async def test_a_time_out_that_the_brokers_do_not_take_is_named_and_ends_the_worker(
    place: Place,
) -> None:
    place.settings = place.settings.model_copy(update={"transaction_timeout_s": 1000})
    producer = Producer(place.settings, CLOCK)
    worker = KafkaWorker(
        place.settings,
        [Subscription(place.requests, Lane.INTERACTIVE, _never)],
        clock=CLOCK,
        producer=producer,
        outbox=Outbox(producer, CLOCK),
    )
    with pytest.raises(
        OperatorError,
        match=r"STREAMPROC_TRANSACTION_TIMEOUT_S=1000 .*transaction\.max\.timeout\.ms",
    ):
        await asyncio.wait_for(worker.run(asyncio.Event()), 60)


async def _never(record: Record) -> None:
    raise AssertionError(record)
