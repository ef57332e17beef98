"""Pictures in docs/ show what commands print now."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.terminal_picture import PICTURES, picture

pytestmark = pytest.mark.slow
# Scores differ in the last places from one kind of processor to the next.
SCORE = re.compile(r"0\.\d+")


@pytest.mark.parametrize("file", PICTURES, ids=lambda file: file.stem)
def test_a_picture_is_of_what_the_command_prints(file: Path) -> None:
    stored, now = file.read_text("utf-8"), picture(PICTURES[file])

    assert SCORE.sub("0", now) == SCORE.sub("0", stored), (
        "python -m tests.support.terminal_picture makes it again"
    )
    assert "@font-face" not in stored, "a page asks no other server for anything"
