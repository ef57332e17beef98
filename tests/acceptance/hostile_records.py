"""Records that mean harm, each with what the table of outcomes in docs/design.md says of it."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from .topics import Headers

MAX_MESSAGE_BYTES = 1024 * 1024
"""What workers that meet these records are set to, by default."""

Make = Callable[[random.Random, str], "Hostile"]


@dataclass(frozen=True, slots=True)
class Hostile:
    """A record and its outcome; always dead-lettered with its original bytes, key and headers.

    kind:        what is wrong with it
    error:       type of the error
    answered_to: id of the `error` response; "": the request's position; None: no response, as no
                 id could be read
    """

    kind: str
    value: bytes | None
    error: Literal["unreadable", "invalid"]
    answered_to: str | None = ""
    headers: Headers = ()
    key: bytes | None = None


def hostile_records(count: int, seed: int) -> Iterator[Hostile]:
    """`count` records, every kind in turn, each with ids and junk of its own."""
    draw = random.Random(seed)
    kinds = (*_unreadable(), *_invalid(), *_cloud_events())
    for number in range(count):
        yield kinds[number % len(kinds)](draw, f"bad-{seed}-{number}")


def kinds_count() -> int:
    """How many kinds there are."""
    return len((*_unreadable(), *_invalid(), *_cloud_events()))


def _unreadable() -> Iterator[Make]:
    def raw(kind: str, make: Callable[[random.Random], bytes | None]) -> Make:
        return lambda draw, name: Hostile(kind, make(draw), "unreadable", None, key=name.encode())

    yield raw("tombstone", lambda _: None)
    yield lambda _draw, _name: Hostile("tombstone without key", None, "unreadable", None)
    yield raw("empty value", lambda _: b"")
    yield raw("binary", lambda draw: b"\xff" + draw.randbytes(200))
    yield raw("gzip", lambda draw: b"\x1f\x8b\x08" + draw.randbytes(100))
    yield raw("schema registry's magic byte", lambda _: b"\x00\x00\x00\x00\x07" + b'{"text":"a"}')
    yield raw("half a JSON object", lambda _: b'{"id": "a", "text": "cut o')
    yield raw("two JSON objects", lambda _: b'{"text": "a"}{"text": "b"}')
    yield raw("single quotes", lambda _: b"{'text': 'a'}")
    yield raw("trailing comma", lambda _: b'{"text": "a",}')
    yield raw("comment", lambda _: b'{"text": "a"} // why')
    yield raw("byte order mark", lambda _: b'\xef\xbb\xbf{"text": "a"}')
    yield raw("UTF-16", lambda _: '{"text": "a"}'.encode("utf-16"))
    yield raw("Latin-1", lambda _: '{"text": "café"}'.encode("latin-1"))
    yield raw("overlong UTF-8", lambda _: b'{"text": "\xc0\xaf"}')
    yield raw("cut UTF-8", lambda _: b'{"text": "\xf0\x9f\x98"}')
    yield raw("encoded surrogate", lambda _: b'{"text": "\xed\xa0\x80"}')
    yield raw("lone surrogate escape", lambda _: b'{"text": "\\ud83d"}')
    yield raw("swapped surrogates", lambda _: b'{"text": "\\ude00\\ud83d"}')
    yield raw("control character", lambda _: b'{"text": "a\x00b"}')
    yield raw("NaN", lambda _: b'{"text": "a", "metadata": NaN}')
    yield raw("Infinity", lambda _: b'{"text": "a", "metadata": -Infinity}')
    yield raw("list", lambda _: b'["text"]')
    yield raw("string", lambda _: b'"text"')
    yield raw("number", lambda _: b"17")
    yield raw("null", lambda _: b"null")
    yield raw("bottomless lists", lambda _: b'{"text": "a", "metadata": ' + b"[" * 20_000)
    yield raw("deepest lists", lambda _: b"[" * 5000 + b"]" * 5000)
    yield lambda _draw, name: Hostile(
        "nested 100 deep", _body(id=name, text="a", metadata=_nested(100)), "unreadable", name
    )
    yield lambda _draw, name: Hostile(
        "objects 90 deep", _body(id=name, text="a", params=_nested_objects(90)), "unreadable", name
    )


def _invalid() -> Iterator[Make]:
    def fields(kind: str, **wrong: Any) -> Make:
        return lambda _draw, name: Hostile(
            kind, _body(**{"id": name, "text": "a", **wrong}), "invalid", name, key=b"\x00\xff"
        )

    def bad_id(kind: str, value: Any) -> Make:
        return lambda _draw, _name: Hostile(kind, _body(id=value, text="a"), "invalid")

    yield lambda _draw, name: Hostile("no text", _body(id=name), "invalid", name)
    yield fields("text is null", text=None)
    yield fields("text is a number", text=5)
    yield fields("text is a list", text=["a"])
    yield fields("text is an object", text={"text": "a"})
    for wrong in (7, "", None):
        if wrong is not None:
            yield bad_id(f"id is {wrong!r}", wrong)
    yield bad_id("id is a list", ["a"])
    yield bad_id("id of 257 characters", "x" * 257)
    yield bad_id("id of 30,000 characters", "🙈" * 7_500)
    for ensemble in (
        "unknown", "../sentiment", "/etc/passwd", "sentiment/../sentiment", "Sentiment", "",
        "sentiment\x00", "a" * 65, "..", "${HOME}", "sentiment\n",
    ):  # fmt: skip
        yield fields(f"ensemble {ensemble[:24]!r}", ensemble=ensemble)
    yield fields("ensemble is a number", ensemble=1)
    yield fields("params is a list", params=[])
    yield fields("params is a string", params="return_members")
    yield fields("unknown param", params={"temperature": 1})
    yield fields("top_k of 0", params={"top_k": 0})
    yield fields("top_k of 2^70", params={"top_k": 10**15})
    yield fields("top_k is a float", params={"top_k": 1.5})
    yield fields("top_k is true", params={"top_k": True})
    yield fields("truncate is a string", params={"truncate": "yes"})
    yield fields("unknown aggregation", params={"aggregation": "median"})
    yield fields("unknown combine", params={"combine": "__import__('os')"})
    yield fields("5,000 params", params={f"p{number}": number for number in range(5000)})
    yield fields("param with a huge name", params={"x" * 30_000: 1})
    yield fields("deadline of 0", deadline_ms=0)
    yield fields("deadline in the past", deadline_ms=-5)
    yield fields("deadline of ages", deadline_ms=10**15)
    yield fields("deadline is a string", deadline_ms="soon")
    yield lambda _draw, name: Hostile(
        "oversized text", _body(id=name, text="a " * MAX_MESSAGE_BYTES), "invalid"
    )
    yield lambda draw, _name: Hostile(
        "oversized junk", draw.randbytes(MAX_MESSAGE_BYTES + 1), "invalid"
    )
    yield lambda _draw, name: Hostile(
        "oversized key", _body(id=name, text="a"), "invalid", key=b"k" * MAX_MESSAGE_BYTES
    )
    yield lambda _draw, name: Hostile(
        "oversized header",
        _body(id=name, text="a"),
        "invalid",
        headers=(("x", b"h" * MAX_MESSAGE_BYTES),),
    )
    yield lambda _draw, name: Hostile(
        "reply topic that is not allowed",
        _body(id=name, text="a"),
        "invalid",
        name,
        (("reply-topic", b"__consumer_offsets"),),
    )
    yield lambda _draw, name: Hostile(
        "reply topic in wrong UTF-8",
        _body(id=name, text="a"),
        "invalid",
        name,
        (("reply-topic", b"\xff\xfe"),),
    )


def _cloud_events() -> Iterator[Make]:
    structured: Headers = (("content-type", b"application/cloudevents+json; charset=UTF-8"),)
    whole = {"specversion": "1.0", "source": "/test", "type": "ask"}

    def event(kind: str, **wrong: Any) -> Make:
        def make(_draw: random.Random, name: str) -> Hostile:
            attributes = {**whole, "id": name, "data": {"text": "a"}, **wrong}
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
    yield event("CloudEvent, data without text", data={})
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
    yield binary("binary CloudEvent without text", b"{}", "invalid", "")
    yield binary("binary CloudEvent without id", b'{"text": "a"}', "invalid", "id")
    yield binary("binary CloudEvent without type", b'{"text": "a"}', "invalid", "type")


def _body(**fields: Any) -> bytes:
    return orjson.dumps(fields)


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def _nested_objects(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value
