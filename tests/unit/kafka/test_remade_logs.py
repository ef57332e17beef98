"""An assignment begins at what is committed of the logs that are there, whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError, NotLeaderForPartitionError
from aiokafka.structs import OffsetAndMetadata

from streamproc.kafka import remade_logs
from streamproc.kafka.consumer_state import ConsumerState
from streamproc.kafka.log_ids import log_beside, with_log
from streamproc.kafka.remade_logs import RemadeLogs

LOG = TopicPartition("requests", 0)
NOW = "cluster/now"


class Group:
    """A consumer whose group has committed of a topic that is no more; what it asks may fail."""

    def __init__(self, fails: Iterator[KafkaError | None]) -> None:
        self._fails = fails
        self.leader_is_there = asyncio.Event()
        self.leader_is_there.set()
        self.committed = {LOG: OffsetAndMetadata(7, with_log("", "cluster/before"))}
        self._coordinator = SimpleNamespace(
            fetch_committed_offsets=self._fetch,
            commit_offsets=self._commit,
            request_rejoin=lambda: None,
        )
        self.begin()
        self._fetcher = SimpleNamespace(_proc_fetch_request=None)
        self._client = None

    def begin(self) -> None:
        """Another assignment."""
        self._subscription = SimpleNamespace(subscription=SimpleNamespace(assignment=object()))

    def assignment(self) -> set[TopicPartition]:
        return {LOG}

    async def beginning_offsets(self, asked: set[Any]) -> dict[Any, int]:
        self._fail()
        await self.leader_is_there.wait()
        return dict.fromkeys(asked, 0)

    async def commit(self, offsets: dict[Any, Any]) -> None:
        self.committed = offsets

    async def _fetch(self, _: Any) -> dict[Any, Any]:
        self._fail()
        return self.committed

    async def _commit(self, _: Any, offsets: dict[Any, Any]) -> None:
        self._fail()
        self.committed = offsets

    def _fail(self) -> None:
        if (error := next(self._fails, None)) is not None:
            raise error


@pytest.fixture(autouse=True)
def ids(monkeypatch: pytest.MonkeyPatch) -> None:
    async def topic_ids(_: Any, topics: set[str]) -> dict[str, str]:
        return dict.fromkeys(topics, NOW)

    monkeypatch.setattr(remade_logs, "topic_ids", topic_ids)
    monkeypatch.setattr(remade_logs, "TRY_AGAIN_S", 0.0)


async def begun(*fails: KafkaError | None) -> Group:
    """The group after an assignment has begun in which these happened in turn."""
    group = Group(iter(fails))
    logs = RemadeLogs(group, ConsumerState())
    logs.watching.cancel()
    await logs.begin()
    return group


@pytest.mark.parametrize("succeeded_before", range(3))
async def test_a_broker_that_leaves_while_logs_are_compared_is_asked_again(
    succeeded_before: int,
) -> None:
    group = await begun(*[None] * succeeded_before, NotLeaderForPartitionError(), KafkaError())

    assert group.committed[LOG].offset == 0
    assert log_beside(group.committed[LOG].metadata) == NOW


async def test_a_group_that_has_moved_on_is_not_held_up() -> None:
    group = await begun(None, None, CommitFailedError("rebalanced"))

    assert group.committed[LOG].offset == 7


@pytest.mark.parametrize("has_begun", [False, True])
async def test_what_was_found_in_an_earlier_assignment_puts_nothing_back(has_begun: bool) -> None:
    group = Group(iter(()))
    logs = RemadeLogs(group, ConsumerState())
    logs.watching.cancel()
    logs._know({LOG.topic: "cluster/before"})
    group.leader_is_there.clear()
    looking = asyncio.create_task(logs._look({}))
    await asyncio.sleep(0)
    answered = {LOG: OffsetAndMetadata(40, with_log("", NOW))}
    if has_begun:
        group.begin()
        group.committed = answered
    group.leader_is_there.set()
    await looking

    assert group.committed[LOG].offset == (40 if has_begun else 0)
