"""Findings as JSON, and as a section of an ensemble's report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from streamproc.offline.evaluation.eval_result import Agreed, Difference, EvalResult, Row
from streamproc.offline.evaluation.formatting import titled
from streamproc.offline.evaluation.intervals import Estimate
from streamproc.offline.evaluation.plot import Plot
from streamproc.offline.evaluation.provenance import Provenance
from streamproc.offline.evaluation.reliability import Reliability
from streamproc.offline.evaluation.tables import Cell, Table, notes, tables_of


def as_markdown(
    findings: EvalResult, made: Provenance, plots: Mapping[str, Plot] | None = None
) -> str:
    """Tables, plots, and how all was made.

    plots: by what they are linked to as
    """
    paragraphs = []
    tables = tables_of(findings, made)
    topics = dict.fromkeys(["measures", "calibration", *(table.topic for table in tables)])
    for topic in topics:
        paragraphs += [_table(table) for table in tables if table.topic == topic]
        paragraphs += [
            f"![{plot.caption}]({link})"
            for link, plot in (plots or {}).items()
            if plot.topic == topic
        ]
    return "\n\n".join([*paragraphs, *notes(findings), made.line(findings)]) + "\n"


def as_json(findings: EvalResult, made: Provenance) -> dict[str, Any]:
    """Everything, values unrounded, what is undefined null."""
    names = [measure.name for measure in findings.measures]
    served = findings.rows[0].contender.stored
    return {
        "ensemble": served.manifest.name,
        "task": served.manifest.task,
        "manifest": served.digest,
        "records": findings.records,
        "made": {name: getattr(made, name) for name in Provenance.__dataclass_fields__},
        "contenders": [_contender(names, row) for row in findings.rows],
        "differences": _differences(names, findings.differences),
        "agreement": _agreed(findings.agreement) if findings.agreement else None,
        "by": findings.by or None,
        "groups": [
            {
                "name": group.name,
                "records": group.records,
                names[0]: [
                    {"contender": titled(row.contender), **_estimate(estimate)}
                    for row, estimate in zip(findings.rows, group.estimates, strict=True)
                ],
                "differences": _differences(names[:1], group.differences),
            }
            for group in findings.groups
        ],
    }


def _contender(names: Sequence[str], row: Row) -> dict[str, Any]:
    return {
        "name": row.contender.name,
        "role": row.contender.role,
        "strategy": row.contender.strategy,
        "members": [member.name for member in row.contender.stored.manifest.members],
        "seconds_per_1000": row.seconds_per_1000,
        "errors": row.errors,
        "partial": row.partial,
        "measures": dict(zip(names, map(_estimate, row.estimates), strict=True)),
        "reliability": _reliability(row.reliability) if row.reliability else None,
    }


def _agreed(agreed: Agreed) -> dict[str, Any]:
    groups = [
        {"from": group.low, "to": group.high, "count": group.count, **_estimate(group.estimate)}
        for group in agreed.groups
    ]
    return {"of": agreed.items, "measure": agreed.measure.name, "groups": groups}


def _differences(names: Sequence[str], differences: Sequence[Difference]) -> list[dict[str, Any]]:
    return [
        {
            "beside": one.name,
            "measures": {
                name: {"beside": beside, **_estimate(estimate)}
                for name, beside, estimate in zip(names, one.beside, one.estimates, strict=True)
            },
        }
        for one in differences
    ]


def _reliability(found: Reliability) -> dict[str, list[float]]:
    return {
        "count": found.count.tolist(),
        "confidence": found.confidence.tolist(),
        "right": found.right.tolist(),
    }


def _estimate(estimate: Estimate) -> dict[str, float | None]:
    values = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def _table(table: Table) -> str:
    lines = [_line(table.headings), _line(["---"] * len(table.headings))]
    lines += [_line([_written(cell) for cell in row]) for row in table.rows]
    return "\n".join(lines)


def _written(cell: Cell) -> str:
    text = cell.text.replace("|", "\\|")
    return f"**{text}**" if cell.strong else text


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
