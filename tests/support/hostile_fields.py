"""Records that can be read and must be refused: wrong fields and parameters, and too much."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from typing import Any

from tests.support.hostile_kind import Fields, Hostile, Make, body
from tests.support.hostile_requests import GOOD, HostileRequest, hostile_requests

MAX_MESSAGE_BYTES = 1024 * 1024
"""What workers that meet these records are set to, by default."""


def invalid(task: str) -> Iterator[Make]:
    """All kinds of a task."""
    good = GOOD[task]
    yield from _wrong_envelope(good)
    another = "entities" if task == "text-classification" else "sentiment"
    yield lambda _draw, name: Hostile(
        "ensemble of another task", body(id=name, **good, ensemble=another), "invalid", name
    )
    for request in hostile_requests(task):
        yield partial(_refused, good, request)
    yield from _oversized(good)


def _wrong_envelope(good: Fields) -> Iterator[Make]:
    """What every task's requests have in common."""

    def fields(kind: str, **wrong: Any) -> Make:
        return lambda _draw, name: Hostile(
            kind, body(**{"id": name, **good, **wrong}), "invalid", name, key=b"\x00\xff"
        )

    def bad_id(kind: str, value: Any) -> Make:
        return lambda _draw, _name: Hostile(kind, body(**{**good, "id": value}), "invalid")

    def without(field: str) -> Make:
        others = {name: value for name, value in good.items() if name != field}
        return lambda _draw, name: Hostile(
            f"no {field}", body(id=name, **others), "invalid", name, names=field
        )

    yield from map(without, good)
    yield bad_id("id is a number", 7)
    yield bad_id("id is empty", "")
    yield bad_id("id is a list", ["a"])
    yield bad_id("id of 257 characters", "x" * 257)
    yield bad_id("id of 30,000 characters", "🙈" * 7_500)
    for ensemble in (
        "unknown", "../sentiment", "/etc/passwd", "sentiment/../sentiment", "Sentiment", "",
        "sentiment\x00", "a" * 65, "..", "${HOME}", "sentiment\n",
    ):  # fmt: skip
        yield fields(f"ensemble {ensemble[:24]!r}", ensemble=ensemble)
    yield fields("ensemble is a number", ensemble=1)
    yield fields("5,000 params", params={f"p{number}": number for number in range(5000)})
    yield fields("deadline of 0", deadline_ms=0)
    yield fields("deadline in the past", deadline_ms=-5)
    yield fields("deadline of ages", deadline_ms=10**15)
    yield fields("deadline is a string", deadline_ms="soon")
    yield lambda _draw, name: Hostile(
        "reply topic that is not allowed",
        body(id=name, **good),
        "invalid",
        name,
        (("reply-topic", b"__consumer_offsets"),),
    )
    yield lambda _draw, name: Hostile(
        "reply topic in wrong UTF-8",
        body(id=name, **good),
        "invalid",
        name,
        (("reply-topic", b"\xff\xfe"),),
    )


def _refused(good: Fields, request: HostileRequest, _draw: random.Random, name: str) -> Hostile:
    value = body(id=name, **{**good, **request.wrong})
    return Hostile(request.kind, value, "invalid", name, key=name.encode(), names=request.field)


def _oversized(good: Fields) -> Iterator[Make]:
    """Larger than what workers read: answered by where they lie, since no id is looked for."""

    def oversized(kind: str, **huge: Any) -> Make:
        return lambda _draw, name: Hostile(kind, body(id=name, **{**good, **huge}), "invalid")

    for field in good:
        yield oversized(f"oversized {field}", **{field: "a " * MAX_MESSAGE_BYTES})
    yield oversized("stop string of 1 MiB", params={"stop": ["a" * MAX_MESSAGE_BYTES]})
    yield lambda draw, _name: Hostile(
        "oversized junk", draw.randbytes(MAX_MESSAGE_BYTES + 1), "invalid"
    )
    yield lambda _draw, name: Hostile(
        "oversized key", body(id=name, **good), "invalid", key=b"k" * MAX_MESSAGE_BYTES
    )
    yield lambda _draw, name: Hostile(
        "oversized header",
        body(id=name, **good),
        "invalid",
        headers=(("x", b"h" * MAX_MESSAGE_BYTES),),
    )
