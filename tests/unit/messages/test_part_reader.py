from __future__ import annotations

from streamproc.messages.part_reader import PartReader, TextPart
from streamproc.messages.parts import Part


def shown(reader: PartReader, *parts: tuple[str, int, str]) -> list[str]:
    return [reader.take(Part(*part)) for part in parts]


def test_parts_are_shown_as_they_come_and_nothing_with_the_response() -> None:
    reader = PartReader()
    assert shown(reader, ("a", 0, "One "), ("a", 1, "two")) == ["One ", "two"]
    assert reader.end("One two") is None


def test_what_no_part_had_comes_with_the_response() -> None:
    assert PartReader().end("One") == TextPart("One")


def test_a_part_that_comes_twice_is_shown_once() -> None:
    reader = PartReader()
    parts = [("a", 0, "One "), ("a", 0, "One "), ("a", 1, "two"), ("a", 1, "two")]
    assert "".join(shown(reader, *parts)) == "One two"


def test_after_a_part_that_was_lost_the_rest_comes_with_the_response() -> None:
    reader = PartReader()
    assert shown(reader, ("a", 0, "One "), ("a", 2, "three")) == ["One ", ""]
    assert reader.end("One two three") == TextPart("two three")


def test_another_attempt_shows_only_what_is_new() -> None:
    reader = PartReader()
    parts = [("a", 0, "One "), ("a", 1, "tw"), ("b", 0, "O"), ("b", 1, "ne two"), ("a", 2, "o.")]
    assert shown(reader, *parts) == ["One ", "tw", "", "o", "."]
    assert reader.end("One two.") is None


def test_an_attempt_that_comes_to_something_else_replaces_all_with_the_response() -> None:
    reader = PartReader()
    assert shown(reader, ("a", 0, "One "), ("b", 0, "Two "), ("b", 1, "more")) == ["One ", "", ""]
    assert reader.end("Two more") == TextPart("Two more", replaces=True)
