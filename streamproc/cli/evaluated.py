"""What an evaluation found, as tables on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Column, Table

from streamproc.evaluation.findings import Findings
from streamproc.evaluation.report import (
    Made,
    heading,
    named,
    shown,
    shown_agreement,
    shown_estimate,
    titled,
)


def show_findings(findings: Findings, made: Made, console: Console) -> None:
    """The contenders, what the ensemble is ahead by, and agreement; bold: not by chance."""
    headings = [heading(measure) for measure in findings.measures]
    told_of = {
        name: [getattr(row, name) for row in findings.rows]
        for name in ("errors", "partial")
        if any(getattr(row, name) for row in findings.rows)
    }
    table = Table(Column(no_wrap=True), *headings, f"s / 1,000 {made.timed}", *told_of)
    for number, row in enumerate(findings.rows):
        figures = [
            shown_estimate(measure, estimate)
            for measure, estimate in zip(findings.measures, row.estimates, strict=True)
        ]
        seconds = f"{row.seconds_per_1000:.1f}"
        style = "bold" if row.contender.role == "ensemble" else ""
        counts = [str(counted[number]) for counted in told_of.values()]
        table.add_row(titled(row.contender), *figures, seconds, *counts, style=style)
    console.print(table)
    if findings.differences:
        _show_differences(findings, headings, console)
    if findings.agreement:
        first = findings.measures[0]
        table = Table("members agree", made.unit, first.name)
        for group in findings.agreement:
            table.add_row(shown_agreement(group), f"{group.records:,}", shown(first, group.value))
        console.print(table)
    console.print(made.line(findings), highlight=False, markup=False)


def _show_differences(findings: Findings, headings: list[str], console: Console) -> None:
    table = Table("ensemble less …", *headings)
    for difference in findings.differences:
        figures = []
        for measure, estimate in zip(findings.measures, difference.estimates, strict=True):
            text = shown_estimate(measure, estimate, signed=True)
            figures.append(f"[bold]{text}[/]" if estimate.excludes_zero else text)
        table.add_row(named(difference), *figures)
    console.print(table)
