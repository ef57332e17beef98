from __future__ import annotations

import json
from typing import Any

import pytest

from streamproc.enrichment.json_event import CannotPlace, JsonEvent
from streamproc.enrichment.json_pointer import format_pointer, overlap, parse_pointer
from streamproc.errors import Unreadable


def spliced(text: str, **values: Any) -> str:
    paths = {
        parse_pointer(pointer): json.dumps(value).encode() for pointer, value in values.items()
    }
    return JsonEvent(text.encode()).with_values(paths).decode()


@pytest.mark.parametrize(
    ("before", "values", "after"),
    [
        ("{}", {"/a": 1}, '{"a":1}'),
        ("{ }", {"/a": 1}, '{"a":1 }'),
        ('{"b":1.10}', {"/a": 1}, '{"b":1.10,"a":1}'),
        ('{"b" : 12345678901234567890 }\n', {"/a": 1}, '{"b" : 12345678901234567890,"a":1 }\n'),
        ('{"a":1,"a":2}', {"/a": 3}, '{"a":1,"a":3}'),
        ('{"a":{"b":null}}', {"/a/b": []}, '{"a":{"b":[]}}'),
        ('{"a": null ,"b":1}', {"/a/c/d": 1, "/a/e": 2}, '{"a": {"c":{"d":1},"e":2} ,"b":1}'),
        ('{"a":[null,1]}', {"/a/0/b": 1}, '{"a":[{"b":1},1]}'),
        ('{"x":0}', {"/nlp/mood": 1, "/nlp/run": 2}, '{"x":0,"nlp":{"mood":1,"run":2}}'),
        ('{"nlp":{"v":1}}', {"/nlp/a/b": 1, "/nlp/a/c": 2}, '{"nlp":{"v":1,"a":{"b":1,"c":2}}}'),
        ('{"l":[{"t":1}, {}]}', {"/l/0/de": 5, "/l/1/de": 6}, '{"l":[{"t":1,"de":5}, {"de":6}]}'),
        ('{"l":[]}', {"/l/-": 5}, '{"l":[5]}'),
        ('{"l":[1]}', {"/l/-": 5}, '{"l":[1,5]}'),
        ('{"a/b":{"~":"\\ud83d\\ude42"}}', {"/a~1b/~0": 1}, '{"a/b":{"~":1}}'),
        ('{"\\u0061":1}', {"/a": 2}, '{"\\u0061":2}'),
        ('{"é":"🙂"}', {"/ü": "é"}, '{"é":"🙂","ü":"\\u00e9"}'),
        ('{"n":1e400,"s":"\\ud800"}', {"/a": 1}, '{"n":1e400,"s":"\\ud800","a":1}'),
    ],
)
def test_values_are_put_in_and_all_else_stays(
    before: str, values: dict[str, Any], after: str
) -> None:
    assert spliced(before, **values) == after


@pytest.mark.parametrize("before", ['{"a":1}', '{"a":true}', '{"a":"x"}', '{"a":[]}', '{"a":[1]}'])
def test_a_path_through_what_holds_no_members_is_refused(before: str) -> None:
    with pytest.raises(CannotPlace, match="/a"):
        spliced(before, **{"/a/b": 1})


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ('{"a":"x"}', "'/a' is a string, not an object"),
        ('{"a":-1}', "'/a' is a number, not an object"),
        ("null", "the event is null, not an object"),
        ("true", "the event is true, not an object"),
        ("[1]", "the event is an array of length 1, without 'a'"),
    ],
)
def test_what_is_in_the_way_of_an_answer_is_named(before: str, said: str) -> None:
    with pytest.raises(CannotPlace) as refused:
        spliced(before, **{"/a/b": 1})

    assert str(refused.value).endswith(said)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"a":NaN}',
        '{"a":1,}',
        '{"a":01}',
        '{"a":"\t"}',
        "\ufeff{}",
        "{} {}",
        "[" * 100_000,
    ],
)
def test_what_is_no_json_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        JsonEvent(text.encode())


def test_wrong_utf8_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="UTF-8"):
        JsonEvent(b'{"a":"\xff"}')


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("/a", {"/a": [1, {"t": "x"}, {"t": None}]}),
        ("/a/0", {"/a/0": 1}),
        ("/a/*/t", {"/a/1/t": "x", "/a/2/t": None}),
        ("/a/01", {}),
        ("/a/9", {}),
        ("/b/c", {}),
        ("/b", {"/b": 12345678901234567890}),
        ("", {"": {"a": [1, {"t": "x"}, {"t": None}], "b": 12345678901234567890}}),
    ],
)
def test_values_are_found_by_pointers(pointer: str, found: dict[str, Any]) -> None:
    event = JsonEvent(b'{"a":[1,{"t":"x"},{"t":null}],"b":12345678901234567890}')
    places = {format_pointer(one.path): one.value for one in event.find(parse_pointer(pointer))}
    assert places == found


def test_pointers_may_begin_below_the_root() -> None:
    event = JsonEvent(b'{"id":"1","data":{"a":1}}', root=("data",))
    assert [(one.path, one.value) for one in event.find(("a",))] == [(("a",), 1)]
    assert event.with_values({("b",): b"2"}) == b'{"id":"1","data":{"a":1,"b":2}}'


@pytest.mark.parametrize(
    ("text", "repeated"),
    [
        ('{"a":{"b":1},"b":2}', None),
        ('{"c":1,"a":{"c":1,"b":1,"c":2},"c":2}', None),
        ('{"a":{"b":1,"b":1}}', ("a", "b")),
        ('{"a":{"b":1,"\\u0062":{"b":[]}}}', ("a", "b")),
        ('{"a":{"b":1},"x":{},"a":{"b":1}}', ("a",)),
        ('{"a":{"b":1},"a":null}', ("a",)),
        ('{"a":[{"b":1,"b":1}]}', None),
        ('{"b":1,"b":2}', None),
        ("[]", None),
    ],
)
def test_the_first_name_on_a_path_that_several_members_have_is_told(
    text: str, repeated: tuple[str, ...] | None
) -> None:
    assert JsonEvent(text.encode()).repeated_on(("a", "b")) == repeated
    below = JsonEvent(b'{"data":%s}' % text.encode(), root=("data",)).repeated_on(("a", "b"))
    assert below == (None if repeated is None else ("data", *repeated))


def test_a_name_within_an_element_or_above_the_root_may_be_the_repeated_one() -> None:
    lines = JsonEvent(b'{"a":[{"t":1},{"t":1,"t":2}]}')
    assert lines.repeated_on(("a", "0", "t")) is None
    assert lines.repeated_on(("a", "1", "t")) == ("a", "1", "t")
    enveloped = JsonEvent(b'{"data":{"a":1},"data":{"a":1}}', root=("data",))
    assert enveloped.repeated_on(("a",)) == ("data",)


@pytest.mark.parametrize("pointer", ["a", "a/b", "/a~2", "/~"])
def test_what_is_no_pointer_is_told(pointer: str) -> None:
    with pytest.raises(ValueError, match="JSON Pointer"):
        parse_pointer(pointer)


@pytest.mark.parametrize(
    ("one", "other", "overlapping"),
    [
        ("/a", "/a/b", True), ("/a/b", "/a", True), ("/a", "/a", True), ("/a/*/t", "/a/0", True),
        ("/a", "/b", False), ("/a/b", "/a/c", False), ("/a/*/t", "/a/*/de", False),
    ],
)  # fmt: skip
def test_places_that_can_not_both_be_set(one: str, other: str, overlapping: bool) -> None:
    assert overlap(parse_pointer(one), parse_pointer(other)) is overlapping
