"""The picture of a group on terminals of any height."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from streamproc.cli.status_view import drawn, fitted
from streamproc.status.overview import Overview
from tests.support.states import picture, worker_state

REASON = "Kafka is away"


def shown(height: int, overview: Overview) -> list[str]:
    """The lines on a terminal so high."""
    console = Console(file=io.StringIO(), width=80, height=height, force_terminal=True)
    with console.capture() as captured:
        console.print(fitted(console, overview))
    return captured.get().rstrip("\n").splitlines()


@pytest.fixture
def overview() -> Overview:
    return picture(worker_state("shop-1"), worker_state("shop-2", ready=False, reasons=[REASON]))


def test_all_of_it_is_shown_where_there_is_room(overview: Overview) -> None:
    console = Console(file=io.StringIO(), width=80, height=60, force_terminal=True)
    with console.capture() as whole:
        console.print(drawn(overview))
    assert shown(60, overview) == whole.get().rstrip("\n").splitlines()


def test_requests_that_were_taken_back_have_a_column_where_there_are_any(
    overview: Overview,
) -> None:
    assert "gone" not in "".join(shown(60, overview))
    first, *others = overview.sources
    lines = shown(60, replace(overview, sources=(replace(first, cancelled=12), *others)))
    headings = next(line for line in lines if "p99 ms" in line)
    assert "gone" in headings
    assert "errors" in headings
    assert any("12" in line.partition(first.name)[2] for line in lines)


def test_what_is_quiet_goes_first_then_members_and_troubles_stay(overview: Overview) -> None:
    whole = len(shown(60, overview))
    without_quiet = shown(whole - 1, overview)
    assert "kitchen" in "".join(without_quiet)
    assert "topics but 1 quiet" in "".join(without_quiet)
    without_members = shown(whole - 3, overview)
    assert "kitchen" not in "".join(without_members)
    assert "sentiment" in "".join(without_members)
    for lines in (without_quiet, without_members):
        assert REASON in lines[-1]


@pytest.mark.parametrize("height", range(1, 30))
def test_no_terminal_gets_more_lines_than_it_has_and_none_is_left_out_unsaid(
    overview: Overview, height: int
) -> None:
    lines = shown(height, overview)
    assert len(lines) <= height
    is_whole = REASON in "".join(lines)
    assert is_whole or "lines more" in lines[-1]
