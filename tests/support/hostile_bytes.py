"""Records that can't be read: no JSON, or none that anybody should take apart."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from tests.support.hostile_kind import Hostile, Make, body
from tests.support.hostile_requests import GOOD

_NUMBERS = {
    "text-classification": "top_k",
    "token-classification": "aggregation",
    "question-answering": "no_answer_threshold",
    "translation": "length_penalty",
    "summarization": "length_penalty",
    "text-generation": "temperature",
}
"""A parameter of each task, a number where it has one."""


def unreadable(task: str) -> Iterator[Make]:
    """All kinds of a task."""

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
        "nested 100 deep", body(id=name, metadata=_nested(100)), "unreadable", name
    )
    yield lambda _draw, name: Hostile(
        "objects 90 deep", body(id=name, params=_nested_objects(90)), "unreadable", name
    )
    for number in (b"NaN", b"-Infinity", b"1e999", b"0x10"):
        yield raw(f"{_NUMBERS[task]} is {number.decode()}", partial(_with_number, task, number))


def _with_number(task: str, number: bytes, _draw: random.Random) -> bytes:
    """A request that is good but for a number that JSON has not, where one belongs."""
    good = body(**GOOD[task], params={_NUMBERS[task]: 0})
    return good.removesuffix(b"0}}") + number + b"}}"


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
