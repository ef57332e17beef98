"""Splicing against a reference that parses, sets, and compares parsed values."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.enrichment.json_event import CannotPlace, JsonEvent

NAMES = st.sampled_from(["a", "b", "é", "~", "a/b", '"', "0", ""]) | st.text(max_size=3).filter(
    lambda name: not any("\ud800" <= letter <= "\udfff" for letter in name)
)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(max_size=5)
    | st.floats(allow_nan=False, allow_infinity=False)
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)
BLANK = st.sampled_from(["", " ", "\n", "\t ", " \r\n "])
PATHS = st.lists(NAMES | st.sampled_from(["0", "1", "-"]), min_size=1, max_size=4).map(tuple)


def written(draw: Callable[[st.SearchStrategy[Any]], Any], value: Any) -> str:
    """The value as somebody might write it: blanks anywhere, escapes or none, some keys twice."""

    def blank() -> str:
        return str(draw(BLANK))

    if isinstance(value, dict):
        members = [(name, inner) for name, inner in value.items()]
        if members and draw(st.booleans()):
            members.insert(0, (members[-1][0], None))
        inner = f"{blank()},{blank()}".join(
            f"{json.dumps(name, ensure_ascii=draw(st.booleans()))}{blank()}:{blank()}"
            + written(draw, one)
            for name, one in members
        )
        return "{" + blank() + inner + blank() + "}"
    if isinstance(value, list):
        return (
            "[" + blank() + f"{blank()},".join(written(draw, one) for one in value) + blank() + "]"
        )
    return json.dumps(value, ensure_ascii=str(value) >= "\ud800" or draw(st.booleans()))


def put(value: Any, path: tuple[str, ...], new: Any) -> Any:
    """The reference: raises KeyError where there is no place."""
    if not path:
        return new
    name, rest = path[0], path[1:]
    if isinstance(value, dict):
        value[name] = put(or_object(value.get(name)), rest, new)
    elif isinstance(value, list) and name == "-":
        value.append(put({}, rest, new))
    elif isinstance(value, list) and name.isdecimal() and str(int(name)) == name:
        if int(name) >= len(value):
            raise KeyError(name)
        value[int(name)] = put(or_object(value[int(name)]), rest, new)
    else:
        raise KeyError(name)
    return value


def or_object(value: Any) -> Any:
    """What is absent or null becomes an object, where something is put into it."""
    return {} if value is None else value


def in_common(one: str, other: str) -> int:
    """How many letters both begin with."""
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def disjoint(paths: dict[tuple[str, ...], Any]) -> bool:
    names = list(paths)
    return not any(
        one[: len(other)] == other for one in names for other in names if one is not other
    )


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_spliced_text_parses_to_what_the_parsed_one_becomes(data: st.DataObject) -> None:
    before = data.draw(st.dictionaries(NAMES, VALUES, max_size=4))
    text = written(data.draw, before)
    values = data.draw(st.dictionaries(PATHS, VALUES, max_size=4).filter(disjoint))
    expected = json.loads(json.dumps(before))
    try:
        for path, value in values.items():
            expected = put(expected, path, value)
    except KeyError:
        expected = None

    event = JsonEvent(text.encode("utf-8", "strict"))
    edits = {path: json.dumps(value).encode() for path, value in values.items()}
    if expected is None:
        try:
            event.with_values(edits)
        except CannotPlace:
            return
        raise AssertionError("put where there is no place")
    assert json.loads(event.with_values(edits)) == expected


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_what_is_not_set_stays_to_the_byte(data: st.DataObject) -> None:
    text = written(data.draw, data.draw(st.dictionaries(NAMES, VALUES, max_size=4)))
    path = data.draw(PATHS)
    event = JsonEvent(text.encode())
    try:
        after = event.with_values({path: b"[]"}).decode()
    except CannotPlace:
        return

    # A null on the way counts as absent, and is replaced too.
    there = (event.json_at(path[:size]) for size in range(1, len(path) + 1))
    replaced = next((text.decode() for text in there if text == b"null"), None)
    replaced = replaced or (event.json_at(path) or b"").decode()
    head = in_common(text, after)
    tail = in_common(text[head:][::-1], after[head:][::-1])
    assert len(text) - head - tail <= len(replaced)
    assert text[head : len(text) - tail] in replaced
