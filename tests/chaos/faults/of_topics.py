"""Topics that grow, are made again, or lose records that nobody has answered."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete

from tests.chaos.place import TOPIC_PARTITIONS, Place
from tests.support.topics import end_offsets

BURST = 300
"""Requests that are in hand when their topic goes."""
WAIT_S = 20


class PartitionsAdded:
    """A topic of requests or events gets one more."""

    name = "topic-partitions added"

    async def act(self, place: Place) -> None:
        load = place.sender.load
        # Not one that is made again with as many as at first.
        lasting = [one.topic for one in load.sources if one.topic != load.expendable]
        topic = place.draw.choice(lasting)
        ends = await end_offsets(place.kafka.bootstrap_servers, topic)
        async with _admin(place) as admin:
            await admin.create_partitions({topic: NewPartitions(total_count=len(ends) + 1)})
        place.say(f"{topic} has {len(ends) + 1}")
        # Records go there once the producer that sends them knows of it.
        async with place.sender.held():
            pass


class TopicRemade:
    """A topic of requests is deleted with requests in it, and made again at once."""

    name = "topic made again"

    def __init__(self, topic: str) -> None:
        self._topic = topic

    async def act(self, place: Place) -> None:
        topic, sender = self._topic, place.sender
        await sender.send(BURST, topic)
        async with sender.held(), _admin(place) as admin:
            await admin.delete_topics([topic])
            async with asyncio.timeout(WAIT_S):
                while (await _create(admin, topic)) != 0:  # noqa: ASYNC110 - Kafka's state
                    await asyncio.sleep(0.05)
            of_before = topic, sender.logs[topic]
            sender.gone |= {one.id for one in sender.asked if (one.topic, one.log) == of_before}
            sender.logs[topic] += 1
        await sender.send(BURST, topic)


class RecordsDeleted:
    """Retention takes what workers, that stand still for a moment, have not answered yet."""

    name = "retention past the offset"

    def __init__(self, topic: str) -> None:
        self._topic = topic

    async def act(self, place: Place) -> None:
        topic, sender = self._topic, place.sender
        with_pids = [psutil.Process(worker.pid) for worker in place.workers]
        for process in with_pids:
            process.send_signal(signal.SIGSTOP)
        try:
            # What is there first is sent to a fetch that waits for it, and will be answered.
            await sender.send(BURST, topic)
            await sender.send(BURST, topic)
            async with _admin(place) as admin:
                ends = await end_offsets(place.kafka.bootstrap_servers, topic)
                most = BURST // TOPIC_PARTITIONS // 2
                gone_to = {tp: end - place.draw.randint(0, most) for tp, end in ends.items()}
                await admin.delete_records(
                    {tp: RecordsToDelete(offset) for tp, offset in gone_to.items()}
                )
            log = sender.logs[topic]
            sender.gone |= {
                one.id
                for one in sender.asked
                if (one.topic, one.log) == (topic, log)
                and one.offset < gone_to[TopicPartition(topic, one.partition)]
            }
        finally:
            for process in with_pids:
                process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def _admin(place: Place) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=place.kafka.bootstrap_servers)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, topic: str) -> int:
    """The code of the error; 0: it is there."""
    answer = await admin.create_topics([NewTopic(topic, TOPIC_PARTITIONS, 1)])
    return int(answer.topic_errors[0][1])
