"""Findings as JSON, and as a section of an ensemble's report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from streamproc.evaluation.contenders import Contender
from streamproc.evaluation.findings import AgreementGroup, Difference, Findings, Row
from streamproc.evaluation.intervals import CONFIDENCE, Estimate
from streamproc.evaluation.measures import Measure


@dataclass(frozen=True, slots=True)
class Made:
    """How findings were made.

    data: the files, each with its folder
    digests: sha256 of each
    of: records that there are, of which some were taken
    unit: what a record is called
    timed: what times are of, a thousand each, all at once
    """

    data: str
    digests: tuple[str, ...]
    of: int
    unit: str
    timed: str
    device: str
    draws: int
    seed: int
    version: str
    command: str

    def line(self, findings: Findings) -> str:
        """In a sentence."""
        count = f"{findings.records:,} {self.unit}"
        if findings.records < self.of:
            count += f", spread evenly over the {self.of:,}"
        manifest = findings.rows[0].contender.stored.digest[:12]
        return (
            f"{count} of {self.data}; {CONFIDENCE:.0%} intervals by {self.draws:,} "
            f"bootstrap draws of {self.unit} (seed {self.seed}), differences on the same draws; "
            f"on {self.device}, manifest {manifest}, streamproc {self.version}: `{self.command}`"
        )


def titled(contender: Contender) -> str:
    """A contender as a table has it."""
    members = len(contender.stored.manifest.members)
    if contender.role == "member":
        return f"member {contender.name}"
    if contender.role == "way":
        return f"combined by {contender.name}"
    how = f"{contender.strategy} of {members}" if members > 1 else "one member"
    return f"{contender.name}, {how}"


def named(difference: Difference) -> str:
    """What the ensemble is compared with; the best member may be another for each measure."""
    if difference.name != "best member":
        return difference.name
    return f"best member ({', '.join(dict.fromkeys(difference.beside))})"


def heading(measure: Measure) -> str:
    """A measure as a table has it."""
    return measure.name if measure.higher_is_better else f"{measure.name} (less is better)"


def shown(measure: Measure, value: float) -> str:
    """A value as a table has it: per cent to a tenth, others to two decimals."""
    if math.isnan(value):
        return "–"
    return f"{100 * value:.1f}" if measure.per_cent else f"{value:.2f}"


def shown_estimate(measure: Measure, estimate: Estimate, *, signed: bool = False) -> str:
    """A figure and its interval."""
    value, low, high = (
        shown(measure, number) for number in (estimate.value, estimate.low, estimate.high)
    )
    if signed:
        value, low, high = (
            text if text.startswith(("-", "–")) else f"+{text}" for text in (value, low, high)
        )
    return f"{value} ({low} to {high})"


def shown_agreement(group: AgreementGroup) -> str:
    """How far members agree, in per cent."""
    low, high = f"{100 * group.low:.0f}", f"{100 * group.high:.0f}"
    return f"{low} %" if group.low == group.high else f"{low} to {high} %"


def as_markdown(findings: Findings, made: Made) -> str:
    """A table, what the ensemble is ahead by, agreement, and how it was made."""
    measures = findings.measures
    names = [heading(measure) for measure in measures]
    lines = [_line(["", *names, f"s / 1,000 {made.timed}"]), _line(["---"] * (len(names) + 2))]
    for row in findings.rows:
        cells = [titled(row.contender), *_figures(measures, row), f"{row.seconds_per_1000:.1f}"]
        own = row.contender.role == "ensemble"
        lines.append(_line([f"**{cell}**" if own else cell for cell in cells]))
    if findings.differences:
        lines += ["", _line(["ensemble less …", *names]), _line(["---"] * (len(names) + 1))]
    for difference in findings.differences:
        found = zip(measures, difference.estimates, strict=True)
        cells = [shown_estimate(measure, one, signed=True) for measure, one in found]
        lines.append(_line([named(difference), *cells]))
    if findings.agreement:
        first = measures[0]
        lines += ["", _line(["members agree", made.unit, first.name]), _line(["---"] * 3)]
        for group in findings.agreement:
            value = shown(first, group.value)
            lines.append(_line([shown_agreement(group), f"{group.records:,}", value]))
    lines += [_no_answers(row) for row in findings.rows if row.errors or row.partial]
    lines += ["", made.line(findings)]
    return "\n".join(lines) + "\n"


def as_json(findings: Findings, made: Made) -> dict[str, Any]:
    """Everything, values unrounded, what is undefined null."""
    names = [measure.name for measure in findings.measures]
    served = findings.rows[0].contender.stored
    return {
        "ensemble": served.manifest.name,
        "task": served.manifest.task,
        "manifest": served.digest,
        "records": findings.records,
        "made": {name: getattr(made, name) for name in Made.__dataclass_fields__},
        "contenders": [
            {
                "name": row.contender.name,
                "role": row.contender.role,
                "strategy": row.contender.strategy,
                "members": [member.name for member in row.contender.stored.manifest.members],
                "seconds_per_1000": row.seconds_per_1000,
                "errors": row.errors,
                "partial": row.partial,
                "measures": dict(zip(names, map(_estimate, row.estimates), strict=True)),
            }
            for row in findings.rows
        ],
        "differences": [
            {
                "beside": one.name,
                "measures": {
                    name: {"beside": beside, **_estimate(estimate)}
                    for name, beside, estimate in zip(names, one.beside, one.estimates, strict=True)
                },
            }
            for one in findings.differences
        ],
        "agreement": [
            {"from": group.low, "to": group.high, "records": group.records, names[0]: group.value}
            for group in findings.agreement
        ],
    }


def _no_answers(row: Row) -> str:
    return (
        f"\n{titled(row.contender)}: {row.errors:,} requests were refused, which counts as a wrong "
        f"answer; {row.partial:,} were answered without all members."
    )


def _figures(measures: Sequence[Measure], row: Row) -> list[str]:
    found = zip(measures, row.estimates, strict=True)
    return [shown_estimate(measure, estimate) for measure, estimate in found]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _estimate(estimate: Estimate) -> dict[str, float | None]:
    return {
        name: None if math.isnan(value) else value
        for name, value in (
            ("value", estimate.value),
            ("low", estimate.low),
            ("high", estimate.high),
        )
    }
