"""A record handed to a pipeline, and the answer to it."""

from __future__ import annotations

from typing import Any

import orjson

from streamproc.messages.record import Headers, ProducerRecord
from streamproc.testing import MemoryBroker, build_pipeline, build_record

CE_BINARY: Headers = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"event"),
    ("ce_source", b"/shop"),
    ("ce_type", b"review"),
    ("content-type", b"application/json"),
)
STRUCTURED: Headers = (("content-type", b"application/cloudevents+json"),)
EVENT: dict[str, Any] = {"specversion": "1.0", "id": "event", "source": "/shop", "type": "review"}


async def answer_to(value: Any, headers: Headers = (), **how: Any) -> ProducerRecord:
    broker = MemoryBroker()
    await build_pipeline(broker)(build_record(value, headers=headers, **how))
    (answer,) = broker.topics["responses"]
    return answer


def body_of(answer: ProducerRecord) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(answer.value or b"")
    return body
