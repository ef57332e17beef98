"""Texts of others on a terminal: shown, never obeyed."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.logs.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x1b[2J\x1b[H", r"\x1b[2J\x1b[H"),
        ("\x9b31m and \x85", r"\x9b31m and \x85"),
        ("user\u202egnp.exe", r"user\u202egnp.exe"),
        ("\u2066isolated\u2069", r"\u2066isolated\u2069"),
        ("a\nerror: b\r\tc", r"a\nerror: b\r\tc"),
        ("\ud83d alone", r"\ud83d alone"),
        ("\u2028\u2029\ufeff\x00\x7f", r"\u2028\u2029\ufeff\x00\x7f"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    "text", ["naïve\u00a0café", "👨‍👩‍👧", "می‌خواهم", "東京", "[bold]", ":bell:"]
)
def test_texts_of_all_scripts_stay_as_they_are(text: str) -> None:
    assert printable(text) == text


def test_lines_may_be_kept() -> None:
    assert printable("a\n\tb\r\x1b", lines=True) == "a\n\tb\\r\\x1b"


@given(st.text(st.characters(codec=None, min_codepoint=0, max_codepoint=0x2FFF)))
def test_nothing_is_left_that_a_terminal_would_obey(text: str) -> None:
    shown = printable(text)

    assert not {unicodedata.category(one) for one in shown if one not in "\u200c\u200d"} & {
        "Cc", "Cf", "Cs", "Zl", "Zp"
    }  # fmt: skip
    assert printable(shown) == shown
    shown.encode("utf-8")
