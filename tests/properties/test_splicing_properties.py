"""Values are spliced into any JSON as a parsed reference puts them in, and all else stays."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.enrichment.json_event import CannotPlace, JsonEvent
from streamproc.enrichment.json_pointer import Path, overlap
from tests.support.json_texts import SPACES, VALUES

STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
TOKENS = st.sampled_from(["metadata", "data", "id", "a", "é", "new", "-", "0", "1", "3", "01", ""])
PATHS = st.lists(TOKENS, min_size=1, max_size=3).map(tuple)


END = "-"


class NoPlace(Exception):
    """The reference finds no place for a value."""


class Members(list[list[Any]]):
    """An object: each member's name and value as they are written, those of one name too."""


def parsed(text: str) -> Any:
    """The text with every string, number and name in its own spelling."""
    # A string whose value is the spelling of the string that stood there.
    spelt = STRING.sub(lambda found: json.dumps(found[0]), text)
    return json.loads(
        spelt,
        object_pairs_hook=lambda pairs: Members(map(list, pairs)),
        parse_int=lambda digits: ("number", digits),
        parse_float=lambda digits: ("number", digits),
    )


def put(document: Any, path: Path, value: Any) -> Any:
    """The document with a value at a path; raises NoPlace where there is none for it."""
    if not path:
        return value
    token, *rest = path
    if isinstance(document, Members):
        last = next((pair for pair in reversed(document) if json.loads(pair[0]) == token), None)
        if last is None:
            last = [json.dumps(token, ensure_ascii=False), Members()]
            document.append(last)
        last[1] = put(or_object(last[1]), tuple(rest), value)
    elif isinstance(document, list):
        if token == END:
            document.append(put(Members(), tuple(rest), value))
        elif re.fullmatch("0|[1-9][0-9]*", token) and int(token) < len(document):
            document[int(token)] = put(or_object(document[int(token)]), tuple(rest), value)
        else:
            raise NoPlace
    else:
        raise NoPlace
    return document


def or_object(value: Any) -> Any:
    """What is null becomes an object, where something is put into it."""
    return Members() if value is None else value


@given(VALUES, SPACES, st.dictionaries(PATHS, VALUES, min_size=1, max_size=4))
def test_any_values_go_to_any_places_as_in_a_parsed_reference(
    text: str, space: str, values: dict[Path, str]
) -> None:
    text = f"{space}{text}{space}"
    pairs = list(combinations(values, 2))
    # Places are those of the text as it came: one more element of an array is put in alone here.
    if any(overlap(*pair) or END in (*pair[0], *pair[1]) for pair in pairs):
        return
    expected = parsed(text)
    try:
        # Two that lack the same object are put into one, in the order in which they are given.
        for path, value in values.items():
            expected = put(expected, path, parsed(value))
    except NoPlace:
        with pytest.raises(CannotPlace):
            spliced(text, values)
        return

    assert parsed(spliced(text, values)) == expected


@given(VALUES, SPACES, PATHS)
def test_what_is_put_where_it_was_changes_no_byte(text: str, space: str, path: Path) -> None:
    text = f"{space}{text}{space}"
    event = JsonEvent(text.encode())
    there = event.json_at(path)
    if there is not None:
        assert event.with_values({path: there}).decode() == text


@given(VALUES, SPACES, st.lists(st.sampled_from(["new", "other"]), min_size=1, unique=True))
def test_what_was_not_there_is_only_added(text: str, space: str, names: list[str]) -> None:
    text = f'{space}{{{space}"x":{text}{space}}}{space}'
    after = spliced(text, {(name,): "1" for name in names})

    assert after.replace("".join(f',"{name}":1' for name in names), "", 1) == text


@given(st.text() | st.text('[]{}",:\\ 1e\n"u'), PATHS)
def test_what_is_read_is_json_by_the_standard(text: str, path: Path) -> None:
    try:
        json.loads(text.encode("utf-8", "surrogatepass").decode(), parse_constant=refuse)
    except ValueError:
        with pytest.raises(Exception, match="not JSON"):
            JsonEvent(text.encode("utf-8", "surrogatepass"))
    else:
        list(JsonEvent(text.encode()).find(path))


def refuse(name: str) -> None:
    raise ValueError(name)


def spliced(text: str, values: dict[Path, str]) -> str:
    written = {path: value.encode() for path, value in values.items()}
    return JsonEvent(text.encode()).with_values(written).decode()
