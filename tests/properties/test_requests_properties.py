"""Whatever a record holds, it becomes a request or a refusal, and the pipeline always answers."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from streamproc.messages.cloudevents import MAX_ID_CHARACTERS
from streamproc.messages.record import Record
from streamproc.messages.request import InvalidRequest, Request, read_request
from streamproc.messages.strict_json import MAX_DEPTH

LIMIT = 1_000_000
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | TEXT
    | st.floats(allow_nan=False, allow_infinity=False)
)  # fmt: skip
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=12
)
FIELDS = ("id", "text", "ensemble", "params", "deadline_ms", "metadata")
EVENT = ("specversion", "id", "source", "type", "data", "data_base64")
REQUESTS = st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON)) | JSON
EVENTS = st.fixed_dictionaries({}, optional=dict.fromkeys(EVENT, st.just("1.0") | JSON | REQUESTS))
NAMES = [
    *("content-type", "ce_specversion", "ce_id", "ce_source", "ce_type", "reply-topic"),
    *("streamproc-original-id", "traceparent", ""),
]
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from([b"application/cloudevents+json", b"1.0", b"", b"\xff"])
        | st.binary(max_size=20)
        | st.none(),
    ),
    max_size=6,
).map(tuple)
VALUES = (
    st.none()
    | st.binary()
    | st.one_of(REQUESTS, EVENTS).map(orjson.dumps)
    | st.integers(1, 3 * MAX_DEPTH).map(lambda depth: b"[" * depth + b"]" * depth)
    | st.integers(1, 3 * MAX_DEPTH).map(
        lambda depth: b'{"id":"d","metadata":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
    )
)


def record_of(value: bytes | None, headers: Any) -> Record:
    return Record("requests", 0, 7, 1_700_000_000_000, None, value, headers)


@given(VALUES, HEADERS)
def test_reading_never_raises_and_always_tells_what_it_found(
    value: bytes | None, headers: Any
) -> None:
    found = read_request(record_of(value, headers), LIMIT)

    if isinstance(found, InvalidRequest):
        assert found.reason.title
        assert found.reason.detail
        assert found.request_id is None or found.request_id
    else:
        assert found.id
        assert found.deadline_at_ms is None or found.deadline_at_ms > 1_700_000_000_000
        assert not {"id", "ensemble", "params", "metadata"} & set(found.inputs)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=MAX_ID_CHARACTERS),
    TEXT,
    JSON,
    st.integers(1, 10_000),
)
def test_a_good_request_is_read_as_it_was_written(
    request_id: str, text: str, metadata: Any, deadline_ms: int
) -> None:
    fields = {
        "id": request_id, "text": text, "metadata": metadata, "deadline_ms": deadline_ms,
        "params": {"top_k": 1},
    }  # fmt: skip

    found = read_request(record_of(orjson.dumps(fields), ()), LIMIT)

    assert isinstance(found, Request)
    assert (found.id, found.inputs) == (request_id, {"text": text})
    assert found.metadata == orjson.dumps(metadata)
    assert found.params == {"top_k": 1}
    assert found.deadline_at_ms == 1_700_000_000_000 + deadline_ms


@given(st.integers(1, 3 * MAX_DEPTH))
def test_depth_is_refused_beyond_the_limit_and_only_there(depth: int) -> None:
    # The request itself is the first level.
    value = b'{"text":"x","metadata":' + b"[" * depth + b"]" * depth + b"}"

    found = read_request(record_of(value, ()), LIMIT)

    assert isinstance(found, InvalidRequest) == (depth + 1 > MAX_DEPTH)


@given(st.dictionaries(TEXT, JSON, max_size=4), HEADERS, st.integers(0, 60))
def test_a_record_is_too_large_by_its_key_value_and_headers_together(
    fields: dict[str, Any], headers: Any, limit: int
) -> None:
    record = record_of(orjson.dumps(fields), headers)

    found = read_request(record, limit)

    too_large = isinstance(found, InvalidRequest) and found.reason.title == "request too large"
    assert too_large == (record.size_bytes > limit)
