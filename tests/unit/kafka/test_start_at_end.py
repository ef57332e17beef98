"""What a member of a group commits of topics that are read from their end, and when it can't."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError, TopicAuthorizationFailedError

from streamproc.kafka.start_at_end import start_at_end

NEW, KNOWN, OTHER = "new", "known", "other"
COMMITTED = {TopicPartition(KNOWN, 1): 5}


class Consumer:
    """A member that is assigned the first of two topic-partitions of each topic."""

    def __init__(self, refusal: KafkaError | None = None) -> None:
        self.stored: dict[TopicPartition, int] = {}
        self._refusal = refusal
        self._coordinator, self._subscription = self, self
        self.subscription = None

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition(topic, 0) for topic in (NEW, KNOWN, OTHER)}

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return {0, 1}

    async def committed(self, tp: TopicPartition) -> int | None:
        return COMMITTED.get(tp)

    async def end_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: 40 + tp.partition for tp in tps}

    async def commit_offsets(self, _assignment: Any, offsets: Any) -> None:
        if self._refusal is not None:
            raise self._refusal
        self.stored |= {tp: one.offset for tp, one in offsets.items()}


async def test_the_ends_of_all_of_a_new_topic_are_committed_and_nothing_of_others() -> None:
    consumer = Consumer()
    await start_at_end(consumer, [NEW, KNOWN, "not assigned"])

    assert consumer.stored == {TopicPartition(NEW, 0): 40, TopicPartition(NEW, 1): 41}


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        # The next assignment begins with it again.
        (CommitFailedError("rebalanced"), []),
        (TopicAuthorizationFailedError(NEW), ["topic is read from its beginning"]),
    ],
)
async def test_a_commit_that_is_refused_does_not_end_the_worker(
    refusal: KafkaError, said: list[str]
) -> None:
    with structlog.testing.capture_logs() as logs:
        await start_at_end(Consumer(refusal), [NEW])

    assert [one["event"] for one in logs] == said
