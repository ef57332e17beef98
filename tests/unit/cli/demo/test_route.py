"""What the demo shows of an event that went through a route."""

from __future__ import annotations

from rich.text import Text

from streamproc.cli.demo.route import broken, marked, pieces

BEFORE, AFTER = '{"a": 1, "b": "x"}', '{"a": 1, "b": "x","c":{"d":2}}'


def test_what_was_put_in_stands_out_and_all_else_is_the_event() -> None:
    shown = marked(BEFORE, AFTER)

    assert shown.plain == AFTER
    assert "".join(piece for is_new, piece in pieces(BEFORE, AFTER) if not is_new) == BEFORE
    styled = [shown.plain[span.start : span.end] for span in shown.spans if span.style]
    assert styled == [piece for is_new, piece in pieces(BEFORE, AFTER) if is_new]


def test_lines_are_broken_behind_commas_and_blanks() -> None:
    lines = broken(Text('{"a": 1,"bcd":"efghijklmnop", "q": 2}'), 10).plain.split("\n")

    assert lines[0] == '{"a": 1,'
    assert max(map(len, lines)) <= 10
    assert "".join(lines) == '{"a": 1,"bcd":"efghijklmnop", "q": 2}'
