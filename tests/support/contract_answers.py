"""What the table of outcomes says of a response and of a dead letter, as assertions."""

from __future__ import annotations

from typing import Any

from streamproc.messages.record import Headers, Record
from streamproc.testing import MemoryBroker

HEADERS: Headers = (("traceparent", b"00-ab-cd-01"), ("other", b"\xff"))


def only(values: list[dict[str, Any]]) -> dict[str, Any]:
    assert len(values) == 1
    return values[0]


def assert_dead_letter(broker: MemoryBroker, record: Record, error_type: str) -> None:
    (letter,) = broker.topics["dlq"]
    assert (letter.key, letter.value) == (record.key, record.value)
    assert letter.headers[: len(record.headers)] == record.headers
    headers = dict(letter.headers)
    assert headers["streamproc-error-type"] == error_type.encode()
    assert headers["streamproc-error-title"]
    assert headers["streamproc-error-detail"]
    assert headers["streamproc-request-topic"] == b"requests"
    assert headers["streamproc-request-partition"] == b"0"
    assert headers["streamproc-request-offset"] == b"7"


def assert_refused(broker: MemoryBroker, record: Record, error_type: str, request_id: str) -> None:
    response = only(broker.values("responses"))
    assert response["id"] == request_id
    assert response["status"] == "error"
    assert response["error"]["type"] == error_type
    assert response["error"]["title"]
    assert response["error"]["detail"]
    assert "result" not in response
    assert_dead_letter(broker, record, error_type)
