"""Which fetches a broker may keep for long."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.protocol.fetch import FetchRequest

from streamproc.kafka.idle_fetches import IDLE_FETCH_WAIT_MS, wait_long_when_idle

KNOWN = {TopicPartition("a", 0): 1, TopicPartition("a", 1): 2, TopicPartition("b", 0): 1}


@pytest.mark.parametrize(
    ("leaders", "node", "asked", "is_kept"),
    [
        (KNOWN, 1, {"a": [0], "b": [0]}, True),
        (KNOWN, 2, {"a": [1]}, True),
        (KNOWN, 1, {"a": [0]}, False),
        ({**KNOWN, TopicPartition("c", 0): None}, 1, {"a": [0], "b": [0]}, False),
        ({**KNOWN, TopicPartition("c", 0): -1}, 1, {"a": [0], "b": [0]}, False),
    ],
)
async def test_a_fetch_is_kept_for_long_that_covers_all_that_the_broker_leads(
    leaders: dict[TopicPartition, int | None],
    node: int,
    asked: dict[str, list[int]],
    is_kept: bool,
) -> None:
    sent: list[Any] = []

    async def fetch(assignment: Any, node_id: Any, request: Any) -> str:
        sent.append(request)
        return "fetched"

    cluster = SimpleNamespace(leader_for_partition=leaders.__getitem__)
    inner = SimpleNamespace(_proc_fetch_request=fetch)
    consumer: Any = SimpleNamespace(_client=SimpleNamespace(cluster=cluster), _fetcher=inner)
    wait_long_when_idle(consumer)

    topics = [(topic, [(number, 0, 1) for number in numbers]) for topic, numbers in asked.items()]
    request = FetchRequest(50, 1, 1, 0, topics)
    assignment = SimpleNamespace(tps=leaders)
    assert await inner._proc_fetch_request(assignment, node, request) == "fetched"

    (found,) = sent
    assert found._max_wait_ms == (IDLE_FETCH_WAIT_MS if is_kept else 50)
