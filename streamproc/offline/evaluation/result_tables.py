"""The table of results, as the tables and plots that the terminal, Markdown and HTML show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from streamproc.offline.evaluation.formatting import heading, shown_estimate
from streamproc.offline.evaluation.provenance import Provenance
from streamproc.offline.evaluation.results import AGREEMENT, EvalResults, ResultRow

Section = Literal["measures", "calibration", "agreement", "groups"]
"""What a table or a plot is about, in the order of a report."""


class Cell(NamedTuple):
    """strong: of the ensemble itself, or a difference that is not by chance"""

    text: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class ResultTable:
    """rows: as many cells each as there are headings"""

    section: Section
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """caption: what is seen on it, a sentence, for those who can't see it too"""

    section: Section
    caption: str
    png: bytes


def tables_of(results: EvalResults, provenance: Provenance) -> list[ResultTable]:
    """The systems, what the ensemble is ahead by, agreement, and groups, where there are any."""
    differences = results.select(differences=True)
    best = [row.minus_system for row in differences if row.minus == "best member"]
    names = {"best member": f"best member ({', '.join(dict.fromkeys(best))})"}
    tables = [
        _systems(results, provenance),
        _pivot("measures", "ensemble less …", differences, lambda r: names.get(r.minus, r.minus)),
        _pivot("agreement", "members agree", results.select(AGREEMENT), count=results.items),
    ]
    if results.by:
        corner = f"{heading(results.metrics[0])} by {results.by}"
        figures = results.select(results.by)
        tables.append(_pivot("groups", corner, figures, column=_title, count=provenance.unit))
        figures = results.select(results.by, differences=True)
        tables.append(
            _pivot("groups", corner, figures, column=lambda r: f"ensemble less {r.minus}")
        )
    return [table for table in tables if table.rows]


def notes(results: EvalResults) -> list[str]:
    """What has to be said of requests without a whole answer, a sentence a system."""
    return [
        f"{run.system.title}: {run.errors:,} requests were refused, which counts as a wrong "
        f"answer; {run.partial:,} were answered without all members."
        for run in results.runs
        if run.errors or run.partial
    ]


def _title(row: ResultRow) -> str:
    return row.system.title


def _group(row: ResultRow) -> str:
    return row.group


def _metric(row: ResultRow) -> str:
    return heading(row.metric)


def _systems(results: EvalResults, provenance: Provenance) -> ResultTable:
    """A line a system, with its speed; the ensemble's stands out."""
    table = _pivot("measures", "", results.select(), _title)
    lines = zip(table.rows, results.runs, strict=True)
    return ResultTable(
        table.section,
        (*table.headings, f"s / 1,000 {provenance.timed}"),
        tuple(
            tuple(
                Cell(cell.text, run.system.role == "ensemble")
                for cell in (*row, Cell(f"{run.seconds_per_1000:.1f}"))
            )
            for row, run in lines
        ),
    )


def _pivot(
    section: Section,
    corner: str,
    figures: Sequence[ResultRow],
    line: Callable[[ResultRow], str] = _group,
    column: Callable[[ResultRow], str] = _metric,
    count: str = "",
) -> ResultTable:
    """A line and a column for all that differ in them, in the order of the figures.

    corner: the heading of the first column
    count: of what there are `n`, for a second column that says so
    """
    lines: dict[str, list[Cell]] = {}
    for row in figures:
        first = [Cell(line(row)), *([Cell(f"{row.n:,}")] if count else [])]
        lines.setdefault(line(row), first).append(_cell(row))
    headings = dict.fromkeys(map(column, figures))
    return ResultTable(
        section,
        (corner, *([count] if count else []), *headings),
        tuple(map(tuple, lines.values())),
    )


def _cell(row: ResultRow) -> Cell:
    if not row.minus:
        text = shown_estimate(row.metric, row.estimate)
        return Cell(text, row.system.role == "ensemble" and row.by != AGREEMENT)
    text = shown_estimate(row.metric, row.estimate, signed=True)
    # In each group another member may be the best.
    name = f"{row.minus_system}: " if row.group and row.minus == "best member" else ""
    return Cell(name + text, row.estimate.excludes_zero)
