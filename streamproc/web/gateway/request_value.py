"""An HTTP body as the values of Kafka records: bytes stay as they are, but for what is added."""

from __future__ import annotations

from typing import Any

import orjson

from streamproc.errors import Unreadable
from streamproc.messages.json_spans import (
    element_spans,
    member_span,
    value_start,
    with_members,
    with_span,
)
from streamproc.messages.strict_json import decode_object, parse, refuse_depth
from streamproc.web.gateway.problems import GatewayProblem


def split_batch(body: bytes, most: int) -> list[bytes] | None:
    """The elements of a JSON array, byte for byte; None where the body is none.

    Raises GatewayProblem where it is not JSON, or has more elements than `most`.
    """
    if not body.lstrip(b" \t\r\n").startswith(b"["):
        return None
    try:
        # Metadata may hold numbers of any size, in every element.
        text = body.decode()
        spans = element_spans(text, value_start(text))
        _require_whole(text, spans)
    except (ValueError, RecursionError) as error:
        raise _not_json(error) from None
    if len(spans) > most:
        detail = f"{len(spans)} requests; at most {most} (STREAMPROC_GATEWAY_MAX_BATCH)"
        raise GatewayProblem("batch-too-large", detail)
    return [text[start:end].encode() for start, end in spans]


def request_value(body: bytes, request_id: str, deadline_ms: int) -> bytes:
    """A record's value: the body with an `id` and a `deadline_ms` where it has none.

    A structured CloudEvent has an id already, and its request lies in `data`.
    Raises GatewayProblem where the body is not a JSON object that a worker would read.
    """
    try:
        request = decode_object(body)
        refuse_depth(request)
    except Unreadable as error:
        raise GatewayProblem("not-json", f"{error.title}: {error.detail}") from None
    event = request.get("data") if "specversion" in request else None
    if not isinstance(event, dict):
        return with_members(body, _added(request, {"id": request_id, "deadline_ms": deadline_ms}))
    span = member_span(body, "data")
    if span is None:
        return body
    data = with_members(body[span], _added(event, {"deadline_ms": deadline_ms}))
    return with_span(body, span, data)


def _added(request: dict[str, Any], members: dict[str, object]) -> dict[str, bytes]:
    return {
        name: orjson.dumps(value) for name, value in members.items() if request.get(name) is None
    }


def _require_whole(text: str, spans: list[tuple[int, int]]) -> None:
    """Raises ValueError where there is more than elements, commas, and brackets around them."""
    last = spans[-1][1] if spans else value_start(text) + 1
    if text[last:].strip(" \t\r\n") != "]":
        # Says where it goes wrong.
        parse(text.encode())
        raise ValueError("an array whose elements can't be told apart")


def _not_json(error: Exception) -> GatewayProblem:
    kind = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    return GatewayProblem("not-json", f"not JSON: {kind}; send a JSON object, or an array of them")
