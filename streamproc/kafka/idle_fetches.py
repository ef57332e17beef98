"""Fetches that a broker may keep for long, as no topic-partition waits for them to return.

A consumer of aiokafka has one fetch under way for each broker. What it does not cover, because its
records are still being handed out, or because it rests, is asked for when that fetch returns: hence
short waits while there is work. Where a fetch covers all there is, a long wait holds nothing up,
as the broker answers with the first record that comes. Short ones were most of what an idle worker
costs.
"""

from __future__ import annotations

from typing import Any, Final

from aiokafka import AIOKafkaConsumer

from streamproc.kafka.private_api import (
    FetchRequest,
    client_of,
    replace_fetch_request,
    set_fetch_wait,
)

IDLE_FETCH_WAIT_MS: Final = 500
"""Kafka's own default; what is assigned while nothing comes waits so long at most."""

_UNKNOWN: Final = frozenset({None, -1})


def wait_long_when_idle(consumer: AIOKafkaConsumer) -> None:
    """Let brokers keep fetches that cover all that a consumer has there. consumer: has started"""
    leader_of = client_of(consumer).cluster.leader_for_partition

    def waiting_long(fetch: FetchRequest) -> FetchRequest:
        async def fetch_patiently(assignment: Any, node_id: Any, request: Any) -> Any:
            asked = sum(len(topic_partitions) for _, topic_partitions in request.topics)
            leaders = [leader_of(tp) for tp in assignment.tps]
            # One whose leader is being looked for may turn out to be led by this broker.
            if asked == leaders.count(node_id) and not _UNKNOWN.intersection(leaders):
                set_fetch_wait(request, IDLE_FETCH_WAIT_MS)
            return await fetch(assignment, node_id, request)

        return fetch_patiently

    replace_fetch_request(consumer, waiting_long)
