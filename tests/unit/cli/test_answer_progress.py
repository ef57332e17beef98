"""The bar of `run` and `submit`."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from streamproc.cli.answer_progress import bar
from streamproc.offline.bulk.progress import BulkProgress


def shown(progress: BulkProgress, seconds: float) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=80, force_terminal=True, color_system=None).print(
        bar(progress, seconds)
    )
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_two_lines_of_eighty_columns_say_how_far_how_fast_how_long_and_what_went_wrong() -> None:
    errors = {"unreadable": 312, "invalid": 12}
    progress = BulkProgress(
        1_234_567, 1_235_591, 0.61, before=200_000, tokens=98_304_123, errors=errors
    )

    first, second = shown(progress, 3600)

    assert first.startswith("1,234,567 of about 2,025,559 answered ━")
    assert first.endswith(" 45 min 52 s left")
    assert second == "287 a second, 27,307 tokens a second; errors: 312 unreadable, 12 invalid"


@pytest.mark.parametrize(
    ("progress", "said"),
    [
        (BulkProgress(0, 0, None), "0 answered"),
        (BulkProgress(0, 0, 0.1, taken_up=70_000), "taking up the answers of a run before: 70,000"),
        (BulkProgress(900, 900, 1.0, written=300), "writing the answers: 300 of 900"),
        (
            BulkProgress(10**9, 10**9, 0.5, errors=dict.fromkeys(map(str, range(50)), 10**6)),
            "1,000,000,000 of about 2,000,000,000 answered",
        ),
    ],
)
def test_nothing_is_wider_than_the_terminal(progress: BulkProgress, said: str) -> None:
    lines = shown(progress, 60)

    assert lines[0].startswith(said)
    assert len(lines) == 2
    assert all(len(line) <= 80 for line in lines)
