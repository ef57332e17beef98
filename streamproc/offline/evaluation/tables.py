"""Findings as tables of texts, for the terminal, Markdown and HTML alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from streamproc.offline.evaluation.eval_result import Agreed, Difference, EvalResult
from streamproc.offline.evaluation.formatting import (
    heading,
    named,
    shown_agreement,
    shown_estimate,
    titled,
)
from streamproc.offline.evaluation.intervals import Estimate
from streamproc.offline.evaluation.measures import Measure
from streamproc.offline.evaluation.provenance import Provenance

Topic = Literal["measures", "calibration", "agreement", "groups"]
"""What a table or a plot is about, in the order of a report."""


@dataclass(frozen=True, slots=True)
class Cell:
    """strong: of the ensemble itself, or a difference that is not by chance"""

    text: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """rows: as many cells each as there are headings"""

    topic: Topic
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def tables_of(findings: EvalResult, made: Provenance) -> list[Table]:
    """The contenders, what the ensemble is ahead by, agreement, and groups, where there are any."""
    tables = [_contenders(findings, made)]
    if findings.differences:
        tables.append(_differences(findings))
    if findings.agreement:
        tables.append(_agreement(findings.agreement))
    if findings.groups:
        tables.append(_groups(findings, made))
    if findings.groups and findings.differences:
        tables.append(_differences_by_group(findings))
    return tables


def notes(findings: EvalResult) -> list[str]:
    """What has to be said of requests without a whole answer, a sentence a contender."""
    return [
        f"{titled(row.contender)}: {row.errors:,} requests were refused, which counts as a wrong "
        f"answer; {row.partial:,} were answered without all members."
        for row in findings.rows
        if row.errors or row.partial
    ]


def _contenders(findings: EvalResult, made: Provenance) -> Table:
    rows = []
    for row in findings.rows:
        figures = _figures(findings.measures, row.estimates)
        texts = [titled(row.contender), *figures, f"{row.seconds_per_1000:.1f}"]
        rows.append(tuple(Cell(text, row.contender.role == "ensemble") for text in texts))
    headings = ["", *map(heading, findings.measures), f"s / 1,000 {made.timed}"]
    return Table("measures", tuple(headings), tuple(rows))


def _differences(findings: EvalResult) -> Table:
    rows = [
        (Cell(named(one)), *_signed(findings.measures, one.estimates))
        for one in findings.differences
    ]
    headings = ("ensemble less …", *map(heading, findings.measures))
    return Table("measures", headings, tuple(rows))


def _agreement(agreed: Agreed) -> Table:
    rows = [
        (
            Cell(shown_agreement(group)),
            Cell(f"{group.count:,}"),
            Cell(shown_estimate(agreed.measure, group.estimate)),
        )
        for group in agreed.groups
    ]
    headings = ("members agree", agreed.items, heading(agreed.measure))
    return Table("agreement", headings, tuple(rows))


def _groups(findings: EvalResult, made: Provenance) -> Table:
    first = findings.measures[0]
    contenders = [row.contender for row in findings.rows]
    rows = []
    for group in findings.groups:
        figures = [shown_estimate(first, estimate) for estimate in group.estimates]
        cells = [
            Cell(text, one.role == "ensemble")
            for one, text in zip(contenders, figures, strict=True)
        ]
        rows.append((Cell(group.name), Cell(f"{group.records:,}"), *cells))
    headings = (f"{heading(first)} by {findings.by}", made.unit, *map(titled, contenders))
    return Table("groups", headings, tuple(rows))


def _differences_by_group(findings: EvalResult) -> Table:
    first = findings.measures[0]
    rows = []
    for group in findings.groups:
        cells = [
            Cell(_beside(one) + cell.text, cell.strong)
            for one in group.differences
            for cell in _signed([first], one.estimates)
        ]
        rows.append((Cell(group.name), *cells))
    names = (f"ensemble less {one.name}" for one in findings.differences)
    return Table("groups", (f"{heading(first)} by {findings.by}", *names), tuple(rows))


def _beside(difference: Difference) -> str:
    """The best member may be another in each group."""
    return f"{difference.beside[0]}: " if difference.name == "best member" else ""


def _figures(measures: Sequence[Measure], estimates: Sequence[Estimate]) -> list[str]:
    return [shown_estimate(m, one) for m, one in zip(measures, estimates, strict=True)]


def _signed(measures: Sequence[Measure], estimates: Sequence[Estimate]) -> Iterator[Cell]:
    for measure, estimate in zip(measures, estimates, strict=True):
        yield Cell(shown_estimate(measure, estimate, signed=True), estimate.excludes_zero)
