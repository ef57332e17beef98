from __future__ import annotations

from typing import Any

import orjson
import pytest

from streamproc.errors import Invalid, Unreadable
from streamproc.messages.cloudevents import MAX_ID_CHARACTERS, Envelope, Form
from streamproc.messages.outgoing import (
    MAX_ERROR_HEADER_CHARACTERS,
    dead_letter,
    response_record,
)
from streamproc.messages.record import Record
from streamproc.messages.reply_address import ReplyAddress
from streamproc.messages.request import InvalidRequest, Request, read_request
from streamproc.messages.response import Coverage, MemberReport, Problem, Response, Timing
from streamproc.messages.strict_json import decode_object, refuse_depth
from streamproc.testing import build_record

LIMIT = 100_000
PLAIN = Envelope(Form.PLAIN)


def read(value: Any, **how: Any) -> Request:
    found = read_request(build_record(value, **how), LIMIT)
    assert isinstance(found, Request)
    return found


def refusal(value: Any, **how: Any) -> InvalidRequest:
    found = read_request(build_record(value, **how), LIMIT)
    assert isinstance(found, InvalidRequest)
    return found


def test_a_record_tells_where_it_lies_and_how_large_it_is() -> None:
    record = Record("t", 3, 14, 0, b"key", b"value", (("name", b"12"),))

    assert record.position == "t:3:14"
    assert record.size_bytes == 3 + 5 + 4 + 2
    assert Record("t", 3, 14, 0, None, None).size_bytes == 0


def test_of_headers_with_one_name_the_last_counts() -> None:
    record = build_record({}, headers=(("a", b"1"), ("a", b"2"), ("A", b"3")))

    assert record.header("a") == b"2"
    assert record.header("b") is None


def test_depth_is_counted_in_lists_and_objects_alike() -> None:
    refuse_depth({"a": [{"b": 1}]}, limit=4)
    with pytest.raises(Unreadable, match="more than 3 levels"):
        refuse_depth({"a": [{"b": 1}]}, limit=3)


def test_depth_does_not_exhaust_the_stack() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]

    with pytest.raises(Unreadable):
        refuse_depth(value)


@pytest.mark.parametrize("value", [b"1", b'"text"', b"null", b"true", b"[]"])
def test_json_that_is_no_object_is_named(value: bytes) -> None:
    with pytest.raises(Unreadable, match="send a JSON object"):
        decode_object(value)


def test_defaults_of_a_request() -> None:
    request = read({"text": "x", "question": "?"}, offset=5)

    assert request.id == "requests:0:5"
    assert request.ensemble is None
    assert request.params == {}
    assert request.inputs == {"text": "x", "question": "?"}
    assert request.deadline_at_ms is None
    assert request.metadata is None
    assert request.envelope.form is Form.PLAIN


def test_null_counts_as_not_given() -> None:
    request = read({"id": None, "ensemble": None, "deadline_ms": None, "text": "x"}, offset=5)

    assert (request.id, request.ensemble, request.deadline_at_ms) == ("requests:0:5", None, None)


def test_a_deadline_counts_from_the_records_timestamp() -> None:
    assert read({"deadline_ms": 250}, timestamp_ms=1_000).deadline_at_ms == 1_250


@pytest.mark.parametrize("size", [1, MAX_ID_CHARACTERS])
def test_an_id_may_be_of_any_characters_up_to_the_limit(size: int) -> None:
    assert read({"id": "é" * size}).id == "é" * size


@pytest.mark.parametrize("request_id", ["", "x" * (MAX_ID_CHARACTERS + 1), 5, ["a"]])
def test_an_id_that_is_none_is_refused(request_id: Any) -> None:
    refused = refusal({"id": request_id})

    assert refused.reason.title == "invalid request"
    assert refused.reason.detail.startswith("id: ")


@pytest.mark.parametrize("original", [b"", b"x" * (MAX_ID_CHARACTERS + 1)])
def test_an_original_id_that_is_none_is_passed_over(original: bytes) -> None:
    request = read({"id": "own"}, headers=(("streamproc-original-id", original),))

    assert request.id == "own"


def test_the_original_id_goes_before_the_requests_own() -> None:
    assert read({"id": "own"}, headers=(("streamproc-original-id", b"first"),)).id == "first"


def test_a_fault_names_its_field_and_not_what_was_sent() -> None:
    refused = refusal({"id": "r", "ensemble": "../secret", "deadline_ms": -1})

    assert refused.request_id == "r"
    assert "ensemble: " in refused.reason.detail
    assert "deadline_ms: " in refused.reason.detail
    assert "secret" not in refused.reason.detail


def test_metadata_nested_too_deeply_is_not_handed_back() -> None:
    depth = 100
    refused = refusal(b'{"id":"r","metadata":' + b"[" * depth + b"]" * depth + b"}")

    assert (refused.request_id, refused.metadata) == ("r", None)
    assert isinstance(refused.reason, Unreadable)


def test_a_response_leaves_out_what_it_does_not_say() -> None:
    response = Response("r", "t", "error", error=Problem("invalid", "title", "detail"))

    sent = response_record(build_record({}), response, PLAIN, ReplyAddress("responses"), 0)

    assert orjson.loads(sent.value or b"") == {
        "id": "r", "task": "t", "status": "error",
        "error": {"type": "invalid", "title": "title", "detail": "detail"},
    }  # fmt: skip


def test_a_response_says_everything_it_has() -> None:
    response = Response(
        "r", "t", "ok", "e", "d", {"label": "x"}, (MemberReport("m", "1", "late"),), 0.5, 0.0,
        Coverage(1, 2, 2, False), Timing(1.5, 2.5, 3.5), warnings=("w",), metadata=b"0",
    )  # fmt: skip

    sent = response_record(build_record({}), response, PLAIN, ReplyAddress("responses"), 0)

    body = orjson.loads(sent.value or b"")
    assert body["members"] == [{"name": "m", "version": "1", "status": "late"}]
    assert (body["agreement"], body["entropy"], body["metadata"]) == (0.5, 0, 0)
    assert body["warnings"] == ["w"]
    assert body["coverage"] == {
        "chunks": 1, "characters": 2, "characters_covered": 2, "truncated": False
    }  # fmt: skip
    assert body["timing"] == {"queue_ms": 1.5, "inference_ms": 2.5, "total_ms": 3.5}


def test_the_headers_of_a_dead_letter_stay_small_and_take_any_text() -> None:
    fault = Problem("invalid", "title", "ü\ud800" * MAX_ERROR_HEADER_CHARACTERS)

    letter = dead_letter(build_record(None), fault, None, "dlq")

    headers = dict(letter.headers)
    assert len((headers["streamproc-error-detail"] or b"").decode()) == MAX_ERROR_HEADER_CHARACTERS
    assert headers["streamproc-error-id"] == b"requests:0:0"
    assert (letter.key, letter.value) == (b"key", None)


def test_an_invalid_error_carries_title_and_detail_apart() -> None:
    error = Invalid("title", "detail")

    assert (error.title, error.detail, str(error)) == ("title", "detail", "title: detail")
