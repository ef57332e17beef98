"""CloudEvents that are none, or that hold no request."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from typing import Any, Literal

import orjson

from tests.support.hostile_kind import Fields, Hostile, Make, body
from tests.support.topics import Headers


def cloud_events(good: Fields) -> Iterator[Make]:
    """All kinds, around a good request's fields."""
    structured: Headers = (("content-type", b"application/cloudevents+json; charset=UTF-8"),)
    whole = {"specversion": "1.0", "source": "/test", "type": "ask"}

    def event(kind: str, **wrong: Any) -> Make:
        def make(_draw: random.Random, name: str) -> Hostile:
            attributes = {**whole, "id": name, "data": dict(good), **wrong}
            kept = {key: value for key, value in attributes.items() if value is not None}
            answered_to = name if kept.get("id") == name else ""
            return Hostile(kind, orjson.dumps(kept), "invalid", answered_to, structured)

        return make

    for attribute in ("specversion", "id", "source", "type"):
        yield event(f"CloudEvent without {attribute}", **{attribute: None})
        yield event(f"CloudEvent, {attribute} empty", **{attribute: ""})
        yield event(f"CloudEvent, {attribute} is a number", **{attribute: 1})
    yield event("CloudEvent 0.3", specversion="0.3")
    yield event("CloudEvent without data", data=None)
    yield event("CloudEvent, data is a string", data="a")
    yield event("CloudEvent, data without fields", data={})
    yield event("CloudEvent, data_base64 is not base64", data_base64="%%%")
    yield event("CloudEvent, data_base64 is a number", data_base64=5)

    def in_base64(_draw: random.Random, name: str) -> Hostile:
        value = {**whole, "id": name, "data_base64": base64.b64encode(b'{"te').decode()}
        return Hostile(
            "CloudEvent, data_base64 is not JSON", orjson.dumps(value), "unreadable", name,
            structured,
        )  # fmt: skip

    yield in_base64
    yield lambda _draw, _name: Hostile(
        "CloudEvent is not JSON", b"{", "unreadable", None, structured
    )
    yield lambda _draw, _name: Hostile(
        "CloudEvent is a list", b"[]", "unreadable", None, structured
    )
    yield lambda _draw, _name: Hostile(
        "CloudEvent, tombstone", None, "unreadable", None, structured, key=b"key"
    )

    def binary(kind: str, value: bytes, error: Literal["unreadable", "invalid"], left: str) -> Make:
        def make(_draw: random.Random, name: str) -> Hostile:
            attributes = {"specversion": "1.0", "source": "/test", "type": "ask", "id": name}
            headers = tuple(
                (f"ce_{key}", said.encode()) for key, said in attributes.items() if key != left
            )
            return Hostile(kind, value, error, "" if left == "id" else name, headers)

        return make

    yield binary("binary CloudEvent, value is not JSON", b"<xml/>", "unreadable", "")
    yield binary("binary CloudEvent without fields", b"{}", "invalid", "")
    yield binary("binary CloudEvent without id", body(**good), "invalid", "id")
    yield binary("binary CloudEvent without type", body(**good), "invalid", "type")
