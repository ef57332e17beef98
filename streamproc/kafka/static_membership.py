"""Static membership: a group's coordinator is told this worker's name in every request.

aiokafka tells it where it joins and nowhere else. A broker then takes the heartbeats and commits
of a worker whose name another has taken for a stranger's, that worker joins again, and takes the
name back: two would do so for ever, each reading everything. Told the name, the broker fences the
one that has lost it (KIP-345).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.protocol.api import RequestStruct
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetCommitResponse_v3
from aiokafka.protocol.group import HeartbeatRequest, HeartbeatResponse_v1
from aiokafka.protocol.types import Array, Int32, Int64, Schema, String

from streamproc.kafka.private_api import CoordinatorRequest, replace_coordinator_request

NO_LEADER_EPOCH: Final = -1


class NamedHeartbeatResponse(HeartbeatResponse_v1):  # type: ignore[misc]
    """Unlike version 1 by its number alone."""

    API_VERSION = 3


class NamedHeartbeat(RequestStruct):  # type: ignore[misc]
    """The first version of Heartbeat that has the member's name."""

    API_KEY = HeartbeatRequest.API_KEY
    API_VERSION = 3
    RESPONSE_TYPE = NamedHeartbeatResponse
    SCHEMA = Schema(
        ("group_id", String("utf-8")),
        ("generation_id", Int32),
        ("member_id", String("utf-8")),
        ("group_instance_id", String("utf-8")),
    )


class NamedCommitResponse(OffsetCommitResponse_v3):  # type: ignore[misc]
    """Unlike version 3 by its number alone."""

    API_VERSION = 7


class NamedCommit(RequestStruct):  # type: ignore[misc]
    """The first version of OffsetCommit that has the member's name."""

    API_KEY = OffsetCommitRequest.API_KEY
    API_VERSION = 7
    RESPONSE_TYPE = NamedCommitResponse
    _PARTITION = Array(
        ("partition_index", Int32),
        ("committed_offset", Int64),
        ("committed_leader_epoch", Int32),
        ("committed_metadata", String("utf-8")),
    )
    SCHEMA = Schema(
        ("group_id", String("utf-8")),
        ("generation_id", Int32),
        ("member_id", String("utf-8")),
        ("group_instance_id", String("utf-8")),
        ("topics", Array(("name", String("utf-8")), ("partitions", _PARTITION))),
    )


class NamedRequest:
    """A request of aiokafka's that is sent in the version that has the member's name."""

    def __init__(self, request: HeartbeatRequest | OffsetCommitRequest, name: str) -> None:
        self._request = request
        self._name = name

    def __repr__(self) -> str:
        return f"{self._request!r} of {self._name}"

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> RequestStruct:
        """What is written to the broker, which knows these versions if it has let a name join."""
        plain: Any = self._request.prepare(versions)
        if isinstance(self._request, HeartbeatRequest):
            return NamedHeartbeat(plain.group, plain.generation_id, plain.member_id, self._name)
        return NamedCommit(
            plain.consumer_group,
            plain.consumer_group_generation_id,
            plain.consumer_id,
            self._name,
            [
                (topic, [(index, at, NO_LEADER_EPOCH, kept) for index, at, kept in partitions])
                for topic, partitions in plain.topics
            ],
        )


def tell_name(consumer: AIOKafkaConsumer, name: str | None) -> None:
    """Have a started consumer's heartbeats and commits name it, where it has a name."""
    if name is None:
        return

    def named(send: CoordinatorRequest) -> CoordinatorRequest:
        async def send_named(request: Any) -> Any:
            if isinstance(request, HeartbeatRequest | OffsetCommitRequest):
                request = NamedRequest(request, name)
            return await send(request)

        return send_named

    replace_coordinator_request(consumer, named)
