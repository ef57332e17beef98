from __future__ import annotations

from typing import Any

import pytest

from streamproc.offline.bulk.answer_counts import AnswerCounts
from streamproc.offline.bulk.progress import BulkProgress


def counted(*responses: dict[str, Any]) -> list[str]:
    counts = AnswerCounts()
    for response in responses:
        counts.add(response)
    return list(counts.lines())


def error(kind: str, detail: str) -> dict[str, Any]:
    return {
        "status": "error",
        "error": {"type": kind, "title": "unknown ensemble", "detail": detail},
    }


def test_a_reason_that_all_rows_share_is_said_once_with_their_count() -> None:
    said = counted(*[error("invalid", "no ensemble 'x'")] * 4500)

    assert said == [
        "4,500 answered, 0 of them partial, 4,500 errors",
        "4,500 of 4,500: invalid: unknown ensemble: no ensemble 'x'",
    ]


def test_errors_are_counted_by_type_and_reasons_that_differ_by_a_number_are_one() -> None:
    said = counted(
        {"status": "ok"},
        {"status": "partial"},
        error("unreadable", "line 3: 2 columns expected"),
        error("unreadable", "line 14: 2 columns expected"),
        error("invalid", "this"),
        error("invalid", "that"),
        error("invalid", "that"),
    )

    assert said == [
        "7 answered, 1 of them partial, 5 errors",
        "  3 invalid:",
        "    2: unknown ensemble: that",
        "    1: unknown ensemble: this",
        "  2 unreadable: unknown ensemble: line 3: 2 columns expected",
    ]


def test_a_million_reasons_take_no_memory() -> None:
    counts = AnswerCounts()
    for number in range(5000):
        counts.add(error("invalid", "".join(chr(97 + int(digit)) for digit in str(number))))

    counts.add(error("unreadable", "after a thousand reasons no more are told apart"))

    first, second, *reasons, others, kind, last = counts.lines()

    assert "5,001 errors" in first
    assert second == "  5,000 invalid:"
    assert len(reasons) == 10
    assert all(line.startswith("    1: unknown ensemble: ") for line in reasons)
    assert others == "    4,990 for other reasons, each told in its answer"
    assert (kind, last) == ("  1 unreadable:", "    1 for other reasons, each told in its answer")


@pytest.mark.parametrize(
    ("progress", "said"),
    [
        (BulkProgress(0, 64, None), "0 answered"),
        (BulkProgress(50, 64, None), "50 answered, 5 a second"),
        (BulkProgress(50, 1024, 0.25), "50 of about 4,096 answered, 5 a second, 13 min 29 s left"),
        (BulkProgress(1000, 1024, 1.0), "1,000 of 1,024 answered, 100 a second, 0 s left"),
        (BulkProgress(1024, 1024, 1.0), "1,024 of 1,024 answered, 102 a second"),
        (BulkProgress(1024, 1024, 1.0, before=1023), "1,024 of 1,024 answered, 6 a minute"),
        (
            BulkProgress(5, 100_000, 0.5),
            "5 of about 200,000 answered, 30 a minute, 111 h 6 min left",
        ),
    ],
)
def test_how_far_it_is_fits_into_a_line(progress: BulkProgress, said: str) -> None:
    assert progress.line(10) == said
    assert len(said) <= 60


@pytest.mark.parametrize(
    ("progress", "said"),
    [
        (BulkProgress(0, 0, 0.01), "0 answered"),
        (
            BulkProgress(50, 64, 1.0, tokens=1234),
            "50 of 64 answered, 5 a second, 123 tokens a second, 3 s left",
        ),
        (
            BulkProgress(50, 64, 1.0, characters=45_678),
            "50 of 64 answered, 5 a second, 4,568 characters a second, 3 s left",
        ),
        (
            BulkProgress(50, 64, 1.0, tokens=1234, characters=45_678),
            "50 of 64 answered, 5 a second, 123 tokens a second, 3 s left",
        ),
        (
            BulkProgress(64, 64, 1.0, errors={"invalid": 12, "failed": 1}),
            "64 of 64 answered, 6 a second, errors: 12 invalid, 1 failed",
        ),
        (BulkProgress(0, 0, 0.0, taken_up=70_000), "taking up the answers of a run before: 70,000"),
        (BulkProgress(64, 64, 1.0, written=32), "writing the answers: 32 of 64"),
    ],
)
def test_tokens_errors_and_what_is_done_before_and_after_asking_are_told(
    progress: BulkProgress, said: str
) -> None:
    assert progress.line(10) == said
    assert len(said) <= 80
