"""Values are found where a plain reader finds them, and metadata comes back byte for byte."""

from __future__ import annotations

import base64
import json

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamproc.messages.json_spans import (
    member_span,
    on_one_line,
    with_members,
    with_plain_numbers,
)
from streamproc.messages.outgoing import as_json, response_record
from streamproc.messages.record import Headers
from streamproc.messages.reply_address import ReplyAddress
from streamproc.messages.request import read_request
from streamproc.messages.response import Response
from streamproc.testing import build_record
from tests.support.json_texts import OBJECTS, SPACES, VALUES, found_plainly

STRUCTURED: Headers = (("content-type", b"application/cloudevents+json"),)
EVENT = '"specversion":"1.0","id":"e","source":"/s","type":"t"'
BINARY: Headers = (
    ("ce_specversion", b"1.0"), ("ce_id", b"e"), ("ce_source", b"/s"), ("ce_type", b"t"),
)  # fmt: skip


def found(text: str, *path: str) -> str | None:
    written = text.encode()
    span = member_span(written, *path)
    return None if span is None else written[span].decode()


@given(OBJECTS, st.lists(st.sampled_from(["metadata", "data", "id", "a", "é"]), max_size=3))
def test_a_value_is_found_where_a_plain_reader_finds_it(text: str, path: list[str]) -> None:
    assert found(text, *path) == found_plainly(text, *path)


@given(st.text(st.characters(exclude_categories=["Cs"])), VALUES)
def test_a_member_is_found_by_any_name_however_it_is_spelt(name: str, value: str) -> None:
    for key in (json.dumps(name), json.dumps(name, ensure_ascii=False)):
        assert found(f'{{"x":1,{key} : {value}}}', name) == value


@given(st.text() | st.text('[]{}",:\\ 1e\n"u'))
def test_what_is_no_json_is_looked_at_without_a_fault(text: str) -> None:
    written = text.encode("utf-8", "surrogatepass")

    member_span(written, "a")
    with_plain_numbers(written, [("a",), ()])


@given(OBJECTS, st.dictionaries(st.sampled_from(["metadata", "id", 'a"\n']), VALUES, min_size=1))
def test_a_member_that_is_set_is_there_and_all_else_is_as_it_was(
    text: str, members: dict[str, str]
) -> None:
    written = with_members(text.encode(), {name: v.encode() for name, v in members.items()})

    before, after = json.loads(text), json.loads(written)
    assert before | {name: json.loads(value) for name, value in members.items()} == after
    for name in before.keys() - members.keys():
        assert found_plainly(written.decode(), name) == found_plainly(text, name)
    for name, value in members.items():
        assert found_plainly(written.decode(), name) == value


@pytest.mark.parametrize(
    "text", ['{[1]:2,"a":3}', '{1:2,"a":3}', '{"a" 1}', '{"a":', '["a",1]', "", "{}"]
)
def test_what_is_no_object_with_that_member_has_no_span(text: str) -> None:
    assert found(text, "a") is None


def test_what_is_nested_deeper_than_the_decoder_recurses_has_no_span() -> None:
    assert found('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", "a") is None


def test_a_member_is_set_however_deep_the_object_is_nested() -> None:
    deep = b'{"id":1,"x":' + b"[" * 100 + b"]" * 100 + b"}"

    assert json.loads(with_members(deep, {"id": b'"mine"'}))["id"] == "mine"


@given(st.text('0123456789.eE+-"[],') | VALUES)
@example("00")
@example("-01")
@example("[1,00]")
def test_plain_numbers_make_json_of_nothing_that_was_none(text: str) -> None:
    plain = with_plain_numbers(b'{"a":' + text.encode() + b"}", [("a",)])

    assert is_json(plain) == is_json('{"a":' + text + "}")


def is_json(text: str | bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def forms(metadata: str, space: str) -> dict[str, tuple[str, Headers, tuple[str, ...]]]:
    """Value, headers, and where in the response metadata lies, by form."""
    request = f'{{"text":"x",{space}"metadata"{space}:{space}{metadata}{space}}}'
    encoded = base64.b64encode(request.encode()).decode()
    return {
        "plain": (request, (), ("metadata",)),
        "binary": (request, BINARY, ("metadata",)),
        "structured": (f'{{{EVENT},"data":{request}}}', STRUCTURED, ("data", "metadata")),
        "untyped": (f'{{"data":{request},{EVENT}}}', (), ("data", "metadata")),
        "base64": (f'{{{EVENT},"data_base64":"{encoded}"}}', STRUCTURED, ("data", "metadata")),
    }


@pytest.mark.parametrize("form", ["plain", "binary", "structured", "untyped", "base64"])
@given(metadata=VALUES, space=SPACES)
def test_any_metadata_comes_back_byte_for_byte_in_any_form(
    form: str, metadata: str, space: str
) -> None:
    value, headers, path = forms(metadata, space)[form]
    record = build_record(value.encode(), headers=headers)

    request = read_request(record, 1_000_000)

    answer = Response("r", "t", "ok", metadata=request.metadata)
    sent = response_record(record, answer, request.envelope, ReplyAddress("responses"), 0)
    assert found_plainly((sent.value or b"").decode(), *path) == metadata


@given(VALUES)
def test_an_answer_is_one_line_of_json_lines_whatever_its_metadata(metadata: str) -> None:
    line = on_one_line(orjson.dumps(as_json(Response("r", "t", "ok", metadata=metadata.encode()))))

    assert not {b"\r", b"\n"} & {line[at : at + 1] for at in range(len(line))}
    assert json.loads(line)["metadata"] == json.loads(metadata)
