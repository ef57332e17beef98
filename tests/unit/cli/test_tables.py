"""Tables of commands: every name whole, on terminals of any width and through a pipe."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len

from streamproc.cli.tables import print_table
from streamproc.cli.terminal import TerminalConsole, stdout_console

HEADINGS = ("topic", "kind", "partitions", "what it is")
NAME = "nlp.question-answering.requests.v1"
ROWS = [
    (NAME, "requests", "12", "questions about a context, each answered out of it with its offsets"),
    ("nlp.translation.dlq.v1", "dlq", "3", "[bold]not markup[/] :bell: 東京"),
]


def shown(width: int, monkeypatch: pytest.MonkeyPatch, *, terminal: bool = True) -> str:
    out = io.StringIO()
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TTY_COMPATIBLE" if terminal else "NO_COLOR", "1")
    monkeypatch.setattr("sys.stdout", out)
    console = stdout_console()
    assert console.is_terminal is terminal
    print_table(console, HEADINGS, ROWS, names=(0, 1), numbers=(2,))
    return re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())


@pytest.mark.parametrize("width", [30, 45, 60, 80, 100, 200])
def test_names_are_whole_and_no_line_is_wider_than_the_terminal(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = shown(width, monkeypatch).splitlines()

    assert all(cell_len(line) <= max(width, len(NAME)) for line in lines)
    text = "".join(lines) if width < len(NAME) else "\n".join(lines)
    assert NAME in text
    assert "…" not in text
    words = " ".join(re.split(r"[\s│]+", text))
    for word in ["each", "answered", "out", "[bold]not", "markup[/]", ":bell:", "東京"]:
        assert word in words


def test_through_a_pipe_lines_are_as_wide_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow, wide = (shown(width, monkeypatch, terminal=False) for width in (20, 200))

    assert narrow == wide
    heading, first, second = narrow.splitlines()
    assert re.split("  +", heading) == list(HEADINGS)
    assert re.split("  +", first) == list(ROWS[0])
    assert re.split("  +", second) == list(ROWS[1])


def test_a_cell_can_neither_break_its_line_nor_reach_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    print_table(TerminalConsole(), ("id", "why"), [("a\nb\x1b[2J", ("\x07\u202e", True))])

    assert capsys.readouterr().out.splitlines()[1] == r"a\nb\x1b[2J  \x07\u202e"


def test_whatever_is_printed_on_a_console_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    stdout_console().print("\x1b]0;title\x07 [bold]kept[/] \x9b1m")

    assert capsys.readouterr().out == "\\x1b]0;title\\x07 [bold]kept[/] \\x9b1m\n"
