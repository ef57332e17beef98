"""Bodies that are taken apart keep their bytes, and tensors come out as they went in."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.web.gateway.problems import GatewayProblem
from streamproc.web.gateway.request_value import request_value, split_batch
from streamproc.web.gateway.sampling import with_sampling
from streamproc.web.gateway.tensors import (
    InferRequest,
    OutputTensor,
    read_infer_request,
    read_texts,
    written,
)
from tests.support.json_texts import VALUES

WRITTEN = VALUES.map(str.encode)
SPACES = st.text(" \t\r\n", max_size=3).map(str.encode)
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=6)


@given(st.lists(st.tuples(WRITTEN, SPACES, SPACES), max_size=5), SPACES)
def test_a_list_is_taken_apart_byte_for_byte(
    elements: list[tuple[bytes, bytes, bytes]], space: bytes
) -> None:
    body = space + b"[" + b",".join(before + e + after for e, before, after in elements) + b"]"

    assert split_batch(body or b"[]", 10) == [element for element, _, _ in elements]


@given(st.binary(max_size=60) | st.text('[]{},:1 "a\n', max_size=60).map(str.encode))
def test_a_list_that_a_parser_takes_is_taken_apart(body: bytes) -> None:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    try:
        elements = split_batch(body, 100)
    except GatewayProblem:
        assert not isinstance(parsed, list)
        return
    if isinstance(parsed, list):
        assert [orjson.loads(element) for element in elements or ()] == parsed


@given(WRITTEN)
def test_a_request_keeps_its_bytes_but_for_what_is_added(value: bytes) -> None:
    body = b'{"text": "x", "metadata": %b}' % value

    made = request_value(body, "r1", 30_000)

    assert value in made
    found = orjson.loads(request_value(b'{"text": "x"}', "r1", 30_000))
    assert found == {"text": "x", "id": "r1", "deadline_ms": 30_000}


@given(TEXTS, st.booleans())
def test_texts_of_tensors_are_read_as_they_were_written(texts: list[str], binary: bool) -> None:
    tensor = OutputTensor("text", "BYTES", [len(texts)], texts)
    asked = InferRequest(inputs=[], parameters={"binary_data_output": binary})
    body, headers = written({}, [tensor], asked)
    # A response's outputs are described as a request's inputs are.
    length = int(headers.get("Inference-Header-Content-Length", len(body)))
    said = orjson.loads(body[:length])
    head = orjson.dumps({"inputs": said["outputs"]})

    request, rest = read_infer_request(head + body[length:], str(len(head)))

    assert read_texts(request, rest) == {"text": texts}


@given(st.binary(max_size=40), st.integers(0, 60), st.lists(st.integers(-3, 5), max_size=3))
def test_bytes_that_are_no_texts_are_refused(packed: bytes, size: int, shape: list[int]) -> None:
    head = orjson.dumps(
        {
            "inputs": [
                {
                    "name": "text",
                    "shape": shape,
                    "datatype": "BYTES",
                    "parameters": {"binary_data_size": size},
                }
            ]
        }
    )
    request, rest = read_infer_request(head + packed, str(len(head)))

    try:
        texts = read_texts(request, rest)["text"]
    except GatewayProblem:
        return
    assert b"".join(len(t.encode()).to_bytes(4, "little") + t.encode() for t in texts) == packed


@pytest.mark.parametrize(
    ("given_", "params"),
    [
        ({}, {}),
        ({"temperature": None, "top_p": None}, {}),
        ({"temperature": 0, "top_p": 0.5, "seed": 1}, {"do_sample": False}),
        ({"temperature": 0.5}, {"temperature": 0.5, "do_sample": True}),
        ({"top_k": 3, "do_sample": False}, {"top_k": 3, "do_sample": False}),
        ({"seed": 1}, {"seed": 1}),
    ],
    ids=str,
)
def test_a_temperature_says_whether_lots_are_drawn(
    given_: dict[str, Any], params: dict[str, Any]
) -> None:
    assert with_sampling(given_) == params
