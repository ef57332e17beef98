"""What somebody wrote into a manifest, a record or a file is shown; it forges no line or tag."""

from __future__ import annotations

import io
import json
import logging
import re
import unicodedata
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from streamproc.cli import models
from streamproc.cli.tables import print_table
from streamproc.cli.terminal import TerminalConsole, stdout_console
from streamproc.errors import ModelRefused
from streamproc.logs import configure_logging
from streamproc.offline.pages.render import render_page
from streamproc.repository.manifest import read_manifest
from streamproc.settings import read_settings
from tests.support.onnx_models import classifier, write_ensemble

_STYLES = re.compile(r"\x1b\[[0-9;]*m")
# What a terminal obeys, a line feed aside, which ends our own lines.
_OBEYED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_SHOWN = frozenset("\n\u200c\u200d")

hostile = st.text(
    st.one_of(
        st.sampled_from("\x1b\x07\x00\r\n\t\x9b\u202e\u2028\u2066\ufeff\x7f[]<>&\"'"),
        st.characters(),
    )
)


def obeyed(text: str) -> set[str]:
    """Characters of what was printed that a terminal would obey."""
    left = _STYLES.sub("", text)
    return {one for one in left if unicodedata.category(one) in _OBEYED} - _SHOWN


def printed(
    monkeypatch: pytest.MonkeyPatch, *, terminal: bool
) -> tuple[TerminalConsole, io.StringIO]:
    out = io.StringIO()
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TTY_COMPATIBLE" if terminal else "NO_COLOR", "1")
    monkeypatch.setattr("sys.stdout", out)
    return stdout_console(), out


@pytest.mark.parametrize("terminal", [False, True])
@given(name=hostile, other=hostile)
def test_a_table_has_a_line_for_each_row_whatever_is_in_it(
    terminal: bool, name: str, other: str
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        console, out = printed(patched, terminal=terminal)
        print_table(console, ("name", "other"), [("a", "b"), (name, other)])

    assert obeyed(out.getvalue()) == set()
    if not terminal:
        assert out.getvalue().count("\n") == 3


@given(text=hostile)
def test_a_console_obeys_no_text(text: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        console, out = printed(patched, terminal=True)
        console.print(text)

    assert obeyed(out.getvalue()) <= {"\t"}


@pytest.mark.parametrize("form", ["json", "console"])
@given(text=hostile)
def test_a_log_has_a_line_for_each_event_whatever_is_in_it(form: str, text: str) -> None:
    err = io.StringIO()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sys.stderr", err)
        configure_logging(read_settings(log_format=form))
        structlog.get_logger("test").warning("of a record", key=text, topic=text)
        logging.getLogger("aiokafka").error("a client called %s", text)
        structlog.reset_defaults()

    assert obeyed(err.getvalue()) == set()
    assert err.getvalue().count("\n") == 2


@given(text=hostile)
def test_a_page_shows_a_text_and_takes_no_tag_from_it(text: str) -> None:
    page, empty = (render_page("tests.support.pages", notes=[one]) for one in (text, ""))

    assert page.count("<") == empty.count("<")


FORGED = "x\ngood all on cpu\x1b]0;title\x07\u202e"


def test_what_a_manifest_says_is_shown_on_lines_of_its_own(tmp_path: Path) -> None:
    shown = []
    for text in ("plain", FORGED):
        quoted = json.dumps(text)  # TOML's strings have the same escapes
        path = write_ensemble(tmp_path / "tiny", [classifier()])
        said = path.read_text().replace("'positive'", quoted).replace('"positive"', quoted)
        described = f"description = {quoted}\nlicense = {quoted}\n[tokenizer]"
        said = said.replace("[tokenizer]", described)
        path.write_text(f"{said}\nprovenance = {{{quoted} = {quoted}}}\n")
        found = CliRunner().invoke(models.app, ["show", "tiny", "--models-dir", str(tmp_path)])
        shown.append(found.stdout)

    benign, forged = shown
    assert "plain" in benign
    assert forged.count("\n") == benign.count("\n")
    assert obeyed(forged) == set()


def test_a_key_of_a_manifest_forges_no_line() -> None:
    with pytest.raises(ModelRefused) as refused:
        read_manifest(b'"a\\ngood all on cpu\\u001b" = 1', "where")

    assert obeyed(str(refused.value)) == set()
    assert "\n" not in str(refused.value)
