"""What came of each fault, as a table for people and figures for machines."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.chaos.asked import Window
from tests.chaos.verifier import Row, Verdict, by_fault
from tests.support.report import say

HEADINGS = (
    "fault", "times", "lost", "twice", "out of place", "wrong", "committed too early",
    "deleted by Kafka", "ended by itself", "first answer, s", "lag back, s",
)  # fmt: skip


def is_good(verdict: Verdict, windows: Sequence[Window], *, is_once: bool) -> bool:
    """Whether every promise was kept."""
    rows = verdict.rows
    broken = any(row.lost or row.misplaced or row.wrong for row in rows)
    twice = is_once and any(row.twice for row in rows)
    return not (broken or twice or any(window.too_early for window in windows))


def figures(verdict: Verdict, windows: Sequence[Window]) -> list[dict[str, Any]]:
    """A line for each fault, and one for all of them."""
    of: dict[str, list[Window]] = defaultdict(list)
    for window in windows:
        of[window.fault].append(window)
    lines = [_line(row, of[fault]) for fault, row in by_fault(verdict.rows).items()]
    total = Counter[str]()
    for row in verdict.rows:
        total.update({name: value for name, value in asdict(row).items() if name != "fault"})
    faults = windows[1:]
    return [*lines, _line(Row("all", **total), faults)]


def show(told: Mapping[str, Any]) -> None:
    """Print the figures of a run."""
    title = f"{told['run']}, {told['asked']} requests and events, {told['answered']} answered"
    table = Table(*HEADINGS, title=title)
    for line in told["faults"]:
        table.add_row(*map(str, line.values()))
    Console(stderr=True, width=170).print(table)
    for topic, kinds in told["kinds"].items():
        say(f"{topic}: {', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))}")
    if causes := told["twice_by_cause"]:
        say(f"twice by cause: {causes}")
    for line in told["first_wrong"]:
        say(line)


def _line(row: Row, windows: Sequence[Window]) -> dict[str, Any]:
    values = (
        row.fault,
        len(windows),
        row.lost,
        row.twice,
        row.misplaced,
        row.wrong,
        sum(window.too_early for window in windows),
        row.gone,
        sum(window.by_itself for window in windows),
        _range([window.first_answer_s for window in windows]),
        _range([window.lag_back_s for window in windows]),
    )
    return dict(zip(HEADINGS, values, strict=True))


def _range(seconds: Sequence[float | None]) -> str:
    """From the shortest to the longest; a dash where none was measured."""
    known = sorted(one for one in seconds if one is not None)
    if not known:
        return "–"
    least, most = f"{known[0]:.1f}", f"{known[-1]:.1f}"
    return least if least == most else f"{least} to {most}"
