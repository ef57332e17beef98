"""A coordinator that loads, or has moved, is no group that has committed nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import GroupAuthorizationFailedError, GroupLoadInProgressError
from aiokafka.protocol.commit import OffsetFetchResponse_v3
from aiokafka.structs import OffsetAndMetadata

from streamproc.kafka import committed_offsets, ledger
from streamproc.kafka.committed_offsets import raise_group_errors
from streamproc.kafka.private_api import committed_of
from streamproc.kafka.start_at_end import start_at_end
from streamproc.messages.record import TopicPartition as OurTopicPartition
from streamproc.settings import Settings

LOG = TopicPartition("events", 0)
LOADING, NOT_AVAILABLE, NOT_COORDINATOR, NOT_ALLOWED = 14, 15, 16, 30
COMMITTED = 5

Answer = int | tuple[int, str]
"""An error of the group, or what is committed."""


def told(answer: Answer) -> OffsetFetchResponse_v3:
    """As a broker tells it."""
    if isinstance(answer, int):
        return OffsetFetchResponse_v3(0, [], answer)
    return OffsetFetchResponse_v3(0, [(LOG.topic, [(LOG.partition, *answer, 0)])], 0)


class Admin:
    """aiokafka's own way to a group's offsets, on a broker that gives these answers in turn."""

    answers: list[Answer]

    def __init__(self, **_: Any) -> None: ...

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def find_coordinator(self, _: str) -> int:
        return 1

    async def _send_request(self, _request: Any, _node: int) -> OffsetFetchResponse_v3:
        answer = self.answers[0]
        if len(self.answers) > 1:
            self.answers.pop(0)
        return told(answer)

    list_consumer_group_offsets = AIOKafkaAdminClient.list_consumer_group_offsets


class Coordinator(GroupCoordinator):  # type: ignore[misc]
    """aiokafka's own, as far as committed offsets go, on such a broker."""

    def __init__(self, answers: list[Answer]) -> None:
        self.group_id, self.coordinator_id = "group", 1
        self._retry_backoff_ms = 1
        self._answers = answers
        self.committed = COMMITTED
        self.looked_for = 0

    def __del__(self, *_: Any) -> None: ...

    async def ensure_coordinator_known(self) -> None: ...

    def coordinator_dead(self) -> None:
        self.looked_for += 1

    async def _send_req(self, _request: Any) -> OffsetFetchResponse_v3:
        return told(self._answers.pop(0))

    async def commit_offsets(self, _: Any, offsets: dict[Any, OffsetAndMetadata]) -> None:
        self.committed = offsets[LOG].offset


class Consumer(AIOKafkaConsumer):  # type: ignore[misc]
    """aiokafka's own, with that coordinator."""

    def __init__(self, answers: list[Answer]) -> None:
        self._group_id, self._closed = "group", True
        self._subscription = SimpleNamespace(subscription=None)
        self._coordinator = Coordinator(answers)
        raise_group_errors(self)

    def __del__(self, *_: Any) -> None: ...

    def assignment(self) -> set[TopicPartition]:
        return {LOG}

    def partitions_for_topic(self, _: str) -> set[int]:
        return {LOG.partition}

    async def end_offsets(self, topic_partitions: Any) -> dict[Any, int]:
        return dict.fromkeys(topic_partitions, 900)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "AIOKafkaAdminClient", Admin)
    monkeypatch.setattr(committed_offsets, "TRY_AGAIN_S", 0.001)
    monkeypatch.setattr(committed_offsets, "PATIENCE_S", 0.05)


@pytest.mark.parametrize("error", [LOADING, NOT_AVAILABLE, NOT_COORDINATOR])
async def test_a_coordinator_that_can_not_say_is_asked_again(error: int) -> None:
    ours = OurTopicPartition(*LOG)
    Admin.answers = [error, error, (COMMITTED, "beside")]
    found = (await ledger.read_positions(Settings(), [ours]))[ours]
    assert found is not None
    assert (found.offset, found.metadata) == (COMMITTED, "beside")

    Admin.answers = [error, (-1, "")]
    assert await ledger.read_positions(Settings(), [ours]) == {ours: None}


async def test_whoever_reads_the_ledger_is_told_that_the_coordinator_does_not_say() -> None:
    Admin.answers = [LOADING]
    with pytest.raises(GroupLoadInProgressError, match="the coordinator of group streamproc"):
        await ledger.read_positions(Settings(group_id="streamproc"), [OurTopicPartition(*LOG)])


@pytest.mark.parametrize(
    ("error", "looked_for"), [(LOADING, 0), (NOT_AVAILABLE, 1), (NOT_COORDINATOR, 1)]
)
async def test_a_consumer_asks_again_and_where_it_has_moved_the_other_one(
    error: int, looked_for: int
) -> None:
    consumer = Consumer([error, (COMMITTED, "")])
    assert await committed_of(consumer, [LOG]) == {LOG: OffsetAndMetadata(COMMITTED, "")}
    assert consumer._coordinator.looked_for == looked_for


async def test_a_consumer_that_may_not_ask_is_told_so() -> None:
    with pytest.raises(GroupAuthorizationFailedError):
        await committed_of(Consumer([NOT_ALLOWED]), [LOG])


@pytest.mark.parametrize("error", [LOADING, NOT_COORDINATOR])
async def test_a_topic_that_is_read_from_its_end_is_not_new_because_the_coordinator_loads(
    error: int,
) -> None:
    known = Consumer([error, (COMMITTED, "")])
    await start_at_end(known, [LOG.topic])
    assert known._coordinator.committed == COMMITTED

    new = Consumer([error, (-1, "")])
    await start_at_end(new, [LOG.topic])
    assert new._coordinator.committed == 900
