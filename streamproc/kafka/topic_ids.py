"""Which topic a name stands for: Kafka gives a topic that is made again another id.

aiokafka asks for metadata in a version that has no ids yet; this is the request of a later one, in
aiokafka's terms. Brokers have answered it since Kafka 3.1.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterable
from io import BytesIO
from typing import Any, Final

import structlog
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

_log = structlog.get_logger(__name__)

_METADATA: Final = 3
_VERSION: Final = 12
_NO_ID: Final = bytes(16)
_TAGS: Final = ("tags", TaggedFields)
_TEXT: Final = CompactString("utf-8")


class _Uuid(AbstractType[bytes]):  # type: ignore[misc]
    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(16)


class _MetadataResponse(Response):  # type: ignore[misc]
    API_KEY = _METADATA
    API_VERSION = _VERSION
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT), _TAGS
            ),
        ),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", _TEXT),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        _TAGS,
                    ),
                ),
                ("authorized_operations", Int32),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _MetadataRequest(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = _METADATA
    API_VERSION = _VERSION
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("name", _TEXT), _TAGS)),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        _TAGS,
    )


class _TopicIds(Request[_MetadataRequest]):  # type: ignore[misc]
    API_KEY = _METADATA

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics: list[tuple[bytes, str, dict[int, bytes]]] = [
            (_NO_ID, topic, {}) for topic in topics
        ]

    def build(self, request_struct_class: type[_MetadataRequest]) -> _MetadataRequest:
        return request_struct_class(self._topics, False, False, {})


async def topic_ids(client: Any, topics: Iterable[str]) -> dict[str, str]:
    """The ids of those topics that exist; none at all from brokers that do not tell any.

    Each is that of the cluster and of the topic, as Kafka's tools show them, with a slash between.
    client: an `AIOKafkaClient` that is connected
    """
    node_id = client.get_random_node()
    if node_id is None:
        return {}
    try:
        response = await client.send(node_id, _TopicIds(topics))
        return {
            topic: f"{response.cluster_id}/{urlsafe_b64encode(found).decode().rstrip('=')}"
            for error, topic, found, *_ in response.topics
            if not error and found != _NO_ID
        }
    except Exception as error:  # noqa: BLE001 - a help, and not to be stumbled over
        _log.debug("topic ids unavailable", error=type(error).__name__)
        return {}
