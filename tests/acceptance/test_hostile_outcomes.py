"""Each way in which a record can end wrongly is seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from tests.support.good_requests import Asked
from tests.support.hostile_kind import Hostile
from tests.support.hostile_outcomes import bad_outcome, good_outcome
from tests.support.topics import BULK, Position, Sent, Stored

PLACE: Position = (BULK, 3, 7)
BAD = Hostile("a kind", b"{}", "invalid", "bad", (("x", b"y"),), b"key", names="params.top_k")
SENT = Sent(BAD.value, BULK, BAD.headers, BAD.key)
LETTER = Stored(
    ("dead letters", 0, 0),
    b"key",
    b"{}",
    {"x": b"y", "streamproc-error-type": b"invalid", "streamproc-request-topic": BULK.encode()},
)


def told(key: bytes = b"key", **fields: Any) -> Stored:
    error = {"type": "invalid", "detail": "params.top_k: too small"}
    body = {"id": "bad", "status": "error", "error": error, **fields}
    return Stored(("responses", 0, 0), key, orjson.dumps(body), {})


def test_an_outcome_as_the_table_says_has_no_faults() -> None:
    unknown = replace(BAD, answered_to="")
    assert bad_outcome(BAD, SENT, PLACE, [told()], [LETTER]) == []
    assert bad_outcome(unknown, SENT, PLACE, [told(id=f"{BULK}:3:7")], [LETTER]) == []
    assert bad_outcome(replace(BAD, answered_to=None), SENT, PLACE, [], [LETTER]) == []
    assert good_outcome(Asked("good", SENT), [told(id="good", status="ok")], []) == []


@pytest.mark.parametrize(
    ("responses", "letters", "fault"),
    [
        ([], [LETTER], "0 responses"),
        ([told(), told()], [LETTER], "2 responses"),
        ([told()], [], "0 dead letters"),
        ([told()], [LETTER, LETTER], "2 dead letters"),
        ([told(status="ok", error={})], [LETTER], "answered"),
        ([told(id="other")], [LETTER], "answered"),
        ([told(error={"type": "failed", "detail": "params.top_k"})], [LETTER], "answered"),
        ([told(error={"type": "invalid", "detail": "text: no"})], [LETTER], "does not begin with"),
        ([told(b"other")], [LETTER], "another key"),
        ([told()], [replace(LETTER, value=b"[]")], "not the original"),
        ([told()], [replace(LETTER, headers={**LETTER.headers, "x": b""})], "not the original"),
        (
            [told()],
            [replace(LETTER, headers={**LETTER.headers, "streamproc-error-type": b"failed"})],
            "dead letter of type",
        ),
    ],
)
def test_another_outcome_of_a_hostile_record_is_a_fault(
    responses: list[Stored], letters: list[Stored], fault: str
) -> None:
    assert fault in " ".join(bad_outcome(BAD, SENT, PLACE, responses, letters))


@pytest.mark.parametrize(
    ("responses", "letters", "fault"),
    [
        ([], [], "0 responses"),
        ([told(id="good", status="ok")], [LETTER], "dead-lettered"),
        ([told(id="good", status="partial")], [], "answered partial"),
        ([told(id="other", status="ok")], [], "to other"),
    ],
)
def test_another_outcome_of_a_good_request_is_a_fault(
    responses: list[Stored], letters: list[Stored], fault: str
) -> None:
    assert fault in " ".join(good_outcome(Asked("good", SENT), responses, letters))
