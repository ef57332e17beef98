"""What an experiment has found, as JSON, as tables for the terminal, and as an HTML page."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from streamproc.messages.experiment import Arm, Outcome
from streamproc.offline.experiments.confidence_sequence import Difference
from streamproc.offline.experiments.pitfalls import warnings_of
from streamproc.offline.experiments.results import (
    ArmResult,
    Comparison,
    ExperimentResult,
    StratumResult,
)
from streamproc.offline.experiments.under_load import ArmLoad, LoadOfArms
from streamproc.offline.pages.render import render_page
from streamproc.offline.pages.report_table import ReportTable, four_digits

NAMES: Final[dict[Outcome, str]] = {
    "accuracy": "accuracy, points",
    "errors": "errors, points",
    "response-time": "response time, %",
}


@dataclass(frozen=True, slots=True)
class ExperimentReport:
    """A result, and when and how it was made.

    refused: why arms are not served now, by worker and arm, a sentence each
    load: of arms at equal load; None: none was given
    """

    result: ExperimentResult
    command: str
    date: str
    refused: tuple[str, ...] = ()
    load: LoadOfArms | None = None

    @property
    def title(self) -> str:
        """One line on what is compared."""
        own = self.result.experiment
        began = datetime.fromtimestamp(own.started_ms / 1000, UTC).isoformat(timespec="seconds")
        where = ", ".join((*own.topics, *own.routes)) or "all topics and routes"
        return f"{own.name} ({own.state}): {own.task} by {own.ensemble}, {where}, since {began}"

    @property
    def verdict(self) -> str:
        """One sentence: which arm is better, or that it is not known yet."""
        result, own = self.result, self.result.experiment
        percent = f"{100 * result.alpha:g} %"
        winner = result.winner
        if winner is None and not result.deciding():
            if own.decides == "accuracy" and not any(one.truths for one in result.arms):
                return "not decided: no feedback has come that says what was right"
            return f"not decided: there is nothing of both arms to compare by {own.decides}"
        if winner is None:
            return (
                f"not decided: by {own.decides}, no arm is better or worse than the control at an "
                f"error rate of {percent}"
            )
        if winner == own.control:
            return (
                f"{winner.name}, the control, is better by {own.decides} than every other arm, at "
                f"an error rate of {percent}"
            )
        return (
            f"{_named(winner)} is better by {own.decides} than the control {own.control.name}, at "
            f"an error rate of {percent}, however often one has looked"
        )

    def warnings(self) -> list[str]:
        """What makes the figures mislead, a sentence each."""
        return [*warnings_of(self.result), *self.refused]

    def notes(self) -> Iterator[str]:
        """What has to be known for reading the figures, a sentence each."""
        result = self.result
        level = 100 * (1 - result.alpha / len(result.experiment.challengers))
        yield (
            f"Intervals hold at {level:g} % over all looks together (asymptotic confidence "
            "sequences, Waudby-Smith et al. 2024), for each outcome by itself; they are wider than "
            "those of a test that may be looked at once. The unit is the key, not the request."
        )
        yield (
            "Differences are an arm less the control, in points of per cent, or in per cent of the "
            "control's time (of geometric means). They count within lanes, lengths and rounds "
            "of weights; the plain ones are of all requests as they came."
        )
        said = result.observations.feedback
        if said.unexposed:
            yield (
                f"Feedback on {said.unexposed:,} of {said.ids:,} requests is about none that the "
                "experiment has seen, and counts for nothing."
            )
        if result.experiment.shadows:
            yield (
                "A shadow is compared with the control on requests that both have answered. It is "
                "asked in the bulk lane, and only where there was an answer: its response times "
                "and errors are not comparable."
            )
        if self.load is not None:
            yield (
                f"Under load: {self.load.loop}, from {self.load.date} on. All arms were asked at "
                "the same time on the same workers, each its share of the requests; one with a "
                "smaller share has smaller batches. What no response came for is in no arm."
            )


def tables_of(report: ExperimentReport) -> list[ReportTable]:
    """The arms, how they differ from the control, within strata, and under load."""
    result = report.result
    headings = ("arm", "requests", "keys", "truths", "accuracy", "errors", "p50 ms", "p99 ms")
    tables = [
        ReportTable(
            "Arms",
            headings,
            tuple(_arm_cells(one) for one in result.arms),
            tuple(range(1, len(headings))),
        )
    ]
    if result.comparisons:
        tables.append(
            ReportTable(
                "Differences from the control",
                ("arm", "of", "difference", "interval", "p", "plain", ""),
                tuple(_comparison_cells(one) for one in result.comparisons),
                (2, 3, 4, 5),
            )
        )
    if result.strata:
        decides = result.experiment.decides
        tables.append(
            ReportTable(
                f"By lane and length: {NAMES[decides]}",
                ("arm", "lane, characters", "control", "own", "difference", "interval"),
                tuple(_stratum_cells(decides, one) for one in result.strata),
                (2, 3, 4, 5),
            )
        )
    if report.load is not None:
        rows = report.load.rows(result.experiment)
        tables.append(
            ReportTable(
                f"Under load: {report.load.file}",
                (report.load.unit, "arm", "asked", "p50 ms", "p99 ms", "errors"),
                tuple(_load_cells(*row) for row in rows),
                (0, 2, 3, 4, 5),
            )
        )
    return tables


def as_json(report: ExperimentReport) -> dict[str, Any]:
    """Everything, values unrounded, what is not known null; times in milliseconds."""
    result = report.result
    winner = result.winner
    return {
        "experiment": result.experiment.model_dump(mode="json"),
        "command": report.command,
        "date": report.date,
        "alpha": result.alpha,
        "winner": None if winner is None else winner.name,
        "verdict": report.verdict,
        "warnings": report.warnings(),
        "notes": list(report.notes()),
        "feedback": asdict(result.observations.feedback),
        "arms": [_arm_json(one) for one in result.arms],
        "differences": [
            {
                "arm": one.arm.name,
                "outcome": one.outcome,
                "is_decided": one.is_decided,
                "stratified": _difference_json(one.stratified),
                "plain": _difference_json(one.plain),
            }
            for one in result.comparisons
        ],
        "strata": [
            {
                "arm": one.arm.name,
                **one.stratum._asdict(),
                "requests": list(one.requests),
                "difference": _difference_json(one.difference),
            }
            for one in result.strata
        ],
        "load": None if report.load is None else _load_json(report.load),
    }


def as_html(report: ExperimentReport, plots: Collection[tuple[str, bytes]]) -> str:
    """A page of its own; plots: captions and PNGs"""
    return render_page(
        "streamproc.offline.experiments",
        report=report,
        warnings=report.warnings(),
        tables=tables_of(report),
        plots=[(caption, b64encode(png).decode()) for caption, png in plots],
        notes=list(report.notes()),
    )


def shown_difference(outcome: Outcome, value: float) -> float:
    """As it is shown: points of per cent, or per cent of the control's response time."""
    return 100 * (math.expm1(value) if outcome == "response-time" else value)


def _arm_cells(one: ArmResult) -> tuple[str, ...]:
    return (
        _named(one.arm),
        f"{one.requests:,}",
        f"{one.units:,}",
        f"{one.truths:,}",
        _percent(one.accuracy),
        _percent(one.error_share),
        _milliseconds(one.p50_ms),
        _milliseconds(one.p99_ms),
    )


def _comparison_cells(one: Comparison) -> tuple[str, ...]:
    return (
        _named(one.arm),
        one.outcome.removeprefix("response-"),
        *_shown(one.outcome, one.stratified),
        _p(one.stratified.p),
        f"{shown_difference(one.outcome, one.plain.value):+.2f}",
        ("better" if one.is_better else "worse") if one.is_decided else "",
    )


def _stratum_cells(outcome: Outcome, one: StratumResult) -> tuple[str, ...]:
    stratum = one.stratum
    alike = f"{stratum.lane}, {stratum.length}"
    return (
        one.arm.name,
        alike if stratum.round == 1 else f"{alike}, round {stratum.round}",
        *(f"{count:,}" for count in one.requests),
        *_shown(outcome, one.difference),
    )


def _load_cells(level: float, arm: str, one: ArmLoad) -> tuple[str, ...]:
    return (
        four_digits(level),
        arm,
        f"{one.asked:,}",
        _milliseconds(one.latency_ms.p50),
        _milliseconds(one.latency_ms.p99),
        _percent(one.error_share),
    )


def _shown(outcome: Outcome, difference: Difference) -> tuple[str, str]:
    numbers = (difference.value, difference.low, difference.high)
    value, low, high = (shown_difference(outcome, number) for number in numbers)
    return f"{value:+.2f}", f"{low:+.2f} to {high:+.2f}"


def _arm_json(one: ArmResult) -> dict[str, Any]:
    return {
        "name": one.arm.name,
        "weight": one.arm.weight,
        "is_shadow": one.arm.is_shadow,
        "requests": one.requests,
        "keys": one.units,
        "errors": dict(one.errors),
        "error_share": _known(one.error_share),
        "truths": one.truths,
        "accuracy": _known(one.accuracy),
        "agreement": _known(one.agreement),
        "p50_ms": _known(one.p50_ms),
        "p99_ms": _known(one.p99_ms),
        "not_served": one.not_served,
        "same_label": _known(one.same_label),
    }


def _load_json(load: LoadOfArms) -> dict[str, Any]:
    return {
        **asdict(replace(load, levels=())),
        "levels": [
            {"level": one.level, "arms": {name: arm.model_dump() for name, arm in one.arms.items()}}
            for one in load.levels
        ],
    }


def _difference_json(difference: Difference) -> dict[str, Any]:
    return asdict(difference)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _named(arm: Arm) -> str:
    return f"{arm.name} (shadow)" if arm.is_shadow else arm.name


def _percent(share: float | None) -> str:
    return "–" if share is None or math.isnan(share) else f"{100 * share:.2f} %"


def _milliseconds(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else four_digits(value)


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"
