"""The results as JSON, as a section of an ensemble's report, and as an HTML page of its own."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any, get_args

from streamproc.logs.printable import printable
from streamproc.offline.evaluation.provenance import Provenance
from streamproc.offline.evaluation.result_tables import (
    Cell,
    Plot,
    ResultTable,
    Section,
    notes,
    tables_of,
)
from streamproc.offline.evaluation.results import EvalResults, EvalRun, ResultRow
from streamproc.offline.pages.render import render_page


def as_json(results: EvalResults, provenance: Provenance) -> dict[str, Any]:
    """Everything, values unrounded, what is undefined null; `results` is the tidy table."""
    served = results.runs[0].system.stored
    return {
        "ensemble": served.name,
        "task": served.manifest.task,
        "manifest": served.digest,
        "records": results.records,
        "provenance": asdict(provenance),
        "systems": [_system(results, run) for run in results.runs],
        "results": list(map(_row, results.rows)),
    }


def _system(results: EvalResults, run: EvalRun) -> dict[str, Any]:
    reliability = results.reliability(run)
    return {
        "system": run.system.title,
        "name": run.system.name,
        "role": run.system.role,
        "strategy": run.system.strategy,
        "members": [member.name for member in run.system.stored.manifest.members],
        "seconds_per_1000": run.seconds_per_1000,
        "errors": run.errors,
        "partial": run.partial,
        "reliability": reliability and asdict(reliability),
    }


def _row(row: ResultRow) -> dict[str, Any]:
    names = ("minus", "minus_system", "by", "group")
    figures = asdict(row.estimate)
    return {
        "system": row.system.title,
        **{name: getattr(row, name) or None for name in names},
        "metric": row.metric.name,
        "n": row.n,
        **{name: None if math.isnan(value) else value for name, value in figures.items()},
    }


def as_markdown(
    results: EvalResults, provenance: Provenance, plots: Mapping[str, Plot] | None = None
) -> str:
    """Tables, plots, and how all was made: what `evaluate --markdown` writes.

    The tables come from `result_tables.py`, the digits of their numbers from `formatting.py`.

    plots: by what they are linked to as
    """
    paragraphs = []
    tables = tables_of(results, provenance)
    for section in get_args(Section):
        paragraphs += [_markdown_table(table) for table in tables if table.section == section]
        paragraphs += [
            f"![{plot.caption}]({link})"
            for link, plot in (plots or {}).items()
            if plot.section == section
        ]
    return "\n\n".join([*paragraphs, *notes(results), provenance.line(results)]) + "\n"


def _markdown_table(table: ResultTable) -> str:
    headings = [_markdown_cell(Cell(heading)) for heading in table.headings]
    rows = [[_markdown_cell(cell) for cell in row] for row in table.rows]
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _markdown_cell(cell: Cell) -> str:
    # A line break would end the row.
    text = printable(cell.text).replace("|", "\\|")
    return f"**{text}**" if cell.strong else text


def as_html(results: EvalResults, provenance: Provenance, plots: Sequence[Plot], on: date) -> str:
    """Tables, plots, and what it takes to make them again; on: the day of it"""
    tables = tables_of(results, provenance)
    headings = ("Systems", "Confidence", "Agreement of members", f"By {results.by}")
    sections = [
        (
            heading,
            [table for table in tables if table.section == section],
            [(plot, b64encode(plot.png).decode()) for plot in plots if plot.section == section],
        )
        for section, heading in zip(get_args(Section), headings, strict=True)
    ]
    stored = [run.system.stored for run in results.runs if run.system.role != "member"]
    manifest = stored[0].manifest
    return render_page(
        "streamproc.offline.evaluation",
        title=f"{manifest.name}: {manifest.task}",
        description=manifest.description,
        sections=[section for section in sections if any(section[1:])],
        notes=notes(results),
        summary=provenance.summary(results),
        provenance=provenance,
        date=on.isoformat(),
        manifests=dict.fromkeys((one.name, one.digest) for one in stored),
        files=zip(provenance.data, provenance.digests, strict=True),
    )
