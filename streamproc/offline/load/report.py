"""What a load found, as JSON, as tables for the terminal, and as an HTML page."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from streamproc.offline.load.latency import LatencyHistogram
from streamproc.offline.load.objectives import broken
from streamproc.offline.load.plan import LoadPlan
from streamproc.offline.load.recording import Group, StepResult
from streamproc.offline.load.stepping import Saturation, saturation_of
from streamproc.offline.pages.render import render_page
from streamproc.offline.pages.report_table import ReportTable, four_digits

QUANTILES: Final = (50.0, 90.0, 99.0, 99.9)
_LATE_SENDING_S: Final = 0.02
_FEW: Final = 1000
"""With fewer requests, a p99 is a matter of ten of them."""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """A run that has ended.

    asked:   who, as `Kafka` or `a gateway`
    command: that was given
    date:    of its beginning, as ISO 8601 has it
    unwatched: why nothing is known of workers; "": something is, or nobody asked
    interrupted: whether it was stopped before its last step
    """

    plan: LoadPlan
    steps: Sequence[StepResult]
    asked: str
    command: str
    date: str
    unwatched: str = ""
    interrupted: bool = False

    @property
    def saturation(self) -> Saturation:
        """Where an objective breaks."""
        return saturation_of(self.steps, self.plan.objectives)

    @property
    def title(self) -> str:
        """One line on what was sent."""
        mix = ", ".join(f"{kind.title} {share:.0%}" for kind, share in _shares(self.plan.mix.kinds))
        return f"{self.plan.loop.title}; {mix}; through {self.asked}"

    @property
    def verdict(self) -> str:
        """One sentence on the objectives; "": there were none."""
        if not self.plan.objectives:
            return ""
        unit, found = self.plan.loop.unit, self.saturation
        wanted = " and ".join(one.written for one in self.plan.objectives)
        if found.failed is None:
            kept = found.kept
            highest = f"{four_digits(kept.level)} {unit}" if kept else "none"
            return f"{wanted}: kept by every step, the highest with {highest}"
        why = " and ".join(one.written for one in found.objectives)
        breaks = f"{why} broke at {four_digits(found.failed.level)} {unit}"
        if found.kept is None:
            return f"{wanted}: kept by no step; {breaks}"
        return f"{wanted}: kept up to {four_digits(found.kept.level)} {unit}; {breaks}"

    def notes(self) -> Iterator[str]:
        """What has to be known for reading the figures, a sentence each."""
        slow = max((s.send_delay.quantile_s(99.0) or 0.0 for s in self.steps), default=0.0)
        if self.interrupted:
            yield "It was interrupted: steps that had not ended are missing."
        if self.plan.loop.unit == "users":
            yield (
                "In closed loop a user who waits asks nothing, so that a stall is met by few "
                "requests: quantiles are those of users who wait, not of a stream of requests."
            )
        else:
            yield (
                "Latency is counted from the moment at which a request was to be sent, so that "
                "a stall of the service is seen by every request that it delays."
            )
        if slow > _LATE_SENDING_S:
            yield (
                f"Requests were sent up to {1000 * slow:,.0f} ms (p99) too late, as too many were "
                "on their way or this machine was busy; latencies hold this delay."
            )
        details: dict[str, str] = {}
        for step in self.steps:
            details = {**step.details, **details}
        for error, detail in details.items():
            count = sum(step.all.errors[error] for step in self.steps)
            yield f"{count:,} requests ended with {error}; the first said: {detail}"
        if any(not step.all.asked for step in self.steps):
            yield (
                "In some steps no request was due: raise --rate, --users or --duration-s, or "
                "lower --think-s."
            )
        if any(step.all.asked < _FEW for step in self.steps):
            yield (
                f"Some steps have fewer than {_FEW:,} requests: their p99 depends on a few; "
                "a longer --duration-s makes it surer."
            )
        if self.unwatched:
            yield f"Nothing is known of the workers: {self.unwatched}."


_GROUPED: Final[Mapping[str, Callable[[StepResult], Mapping[str, Group]]]] = {
    "By task and lane": lambda step: step.kinds,
    "By version": lambda step: step.versions,
    "By arm": lambda step: {f"{one.name} {one.arm}": group for one, group in step.arms.items()},
}


def step_line(plan: LoadPlan, step: StepResult) -> str:
    """A step in a line, as it ends."""
    failed = broken(plan.objectives, step)
    p50, p99 = (_milliseconds(step.all.latency.quantile_s(one)) for one in (50.0, 99.0))
    return (
        f"{four_digits(step.level)} {plan.loop.unit}: {step.completed_per_s:,.1f} answered/s, "
        f"p50 {p50} ms, p99 {p99} ms, errors {_percent(step.all.error_share)}"
        + (f"; broke {', '.join(one.written for one in failed)}" if failed else "")
    )


def tables_of(report: LoadReport) -> list[ReportTable]:
    """The steps by their level; where there are several, kinds, versions and arms of experiments;
    what workers used."""
    unit = report.plan.loop.unit
    steps = sorted(report.steps, key=lambda step: step.level)
    quantiles = ("p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms")
    headings: tuple[str, ...] = (unit, "answered/s", *quantiles, "errors", "broke")
    tables = [
        ReportTable(
            "Steps",
            headings,
            tuple(_step_cells(report, step) for step in steps),
            tuple(range(8)),
        )
    ]
    for title, groups_of in _GROUPED.items():
        rows = tuple(
            (four_digits(step.level), name, f"{group.asked:,}", *_latency_cells(group))
            for step in steps
            for name, group in groups_of(step).items()
        )
        if len({row[1] for row in rows}) > 1:
            columns = (unit, title.removeprefix("By "), "asked", "p50 ms", "p99 ms", "errors")
            tables.append(ReportTable(title, columns, rows, (0, 2, 3, 4, 5)))
    used = tuple(
        (
            four_digits(step.level),
            use.worker,
            "–" if use.cpu is None else f"{use.cpu:.2f}",
            _mebibytes(use.resident_bytes),
            _mebibytes(use.device_used_bytes),
        )
        for step in steps
        for use in step.workers
    )
    if used:
        headings = (unit, "worker", "cores", "memory MiB", "GPU MiB")
        tables.append(ReportTable("Workers", headings, used, (0, 2, 3, 4)))
    return tables


def _step_cells(report: LoadReport, step: StepResult) -> tuple[str, ...]:
    latency = step.all.latency
    quantiles = (*(latency.quantile_s(one) for one in QUANTILES), latency.max_s)
    return (
        four_digits(step.level),
        f"{step.completed_per_s:,.1f}",
        *map(_milliseconds, quantiles),
        _percent(step.all.error_share),
        ", ".join(one.written for one in broken(report.plan.objectives, step)),
    )


def _latency_cells(group: Group) -> tuple[str, ...]:
    shown = (_milliseconds(group.latency.quantile_s(one)) for one in (50.0, 99.0))
    return (*shown, _percent(group.error_share))


def as_json(report: LoadReport) -> dict[str, Any]:
    """Everything, values unrounded, what is not known null; times in milliseconds."""
    found, plan = report.saturation, report.plan
    return {
        "command": report.command,
        "date": report.date,
        "loop": plan.loop.title,
        "unit": plan.loop.unit,
        "through": report.asked,
        "seed": plan.seed,
        "mix": {kind.title: share for kind, share in _shares(plan.mix.kinds)},
        "warm_up_s": plan.times.warm_up_s,
        "timeout_s": plan.times.timeout_s,
        "max_in_flight": plan.times.max_in_flight,
        "objectives": [one.written for one in plan.objectives],
        "saturation": {
            "kept": found.kept.level if found.kept else None,
            "failed": found.failed.level if found.failed else None,
            "broken": [one.written for one in found.objectives],
        },
        "verdict": report.verdict or None,
        "interrupted": report.interrupted,
        "notes": list(report.notes()),
        "steps": [_step_json(report, step) for step in report.steps],
    }


def _step_json(report: LoadReport, step: StepResult) -> dict[str, Any]:
    return {
        "level": step.level,
        "duration_s": step.duration_s,
        "completed_per_s": step.completed_per_s,
        **_group_json(step.all),
        "service_ms": _latency_json(step.service),
        "send_delay_ms": _latency_json(step.send_delay),
        "broken": [one.written for one in broken(report.plan.objectives, step)],
        "kinds": {name: _group_json(group) for name, group in step.kinds.items()},
        "versions": {name: _group_json(group) for name, group in step.versions.items()},
        "experiments": _arms_json(step),
        "error_details": dict(step.details),
        "own_cpu": step.own_cpu,
        "workers": [asdict(use) for use in step.workers],
        "hdrhistogram": step.all.latency.encoded(),
    }


def _arms_json(step: StepResult) -> dict[str, dict[str, Any]]:
    """Arms by the name of their experiment."""
    found: dict[str, dict[str, Any]] = {}
    for one, group in step.arms.items():
        found.setdefault(one.name, {})[one.arm] = _group_json(group)
    return found


def _group_json(group: Group) -> dict[str, Any]:
    return {
        "asked": group.asked,
        "answered": group.answered,
        "errors": dict(group.errors),
        "error_share": group.error_share,
        "latency_ms": _latency_json(group.latency),
    }


def _latency_json(latency: LatencyHistogram) -> dict[str, float | None]:
    seconds = {f"p{one:g}": latency.quantile_s(one) for one in QUANTILES}
    seconds |= {"mean": latency.mean_s, "max": latency.max_s}
    return {name: None if one is None else 1000 * one for name, one in seconds.items()}


def as_html(report: LoadReport, plots: Collection[tuple[str, bytes]]) -> str:
    """A page of its own; plots: captions and PNGs"""
    return render_page(
        "streamproc.offline.load",
        report=report,
        warnings=(),
        tables=tables_of(report),
        plots=[(caption, b64encode(png).decode()) for caption, png in plots],
        notes=list(report.notes()),
    )


def _shares(weighted: Any) -> Iterator[tuple[Any, float]]:
    before = 0.0
    for choice, share in zip(weighted.choices, weighted.shares, strict=True):
        yield choice, share - before
        before = share


def _milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else four_digits(1000 * seconds)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f} %"


def _mebibytes(size: int | None) -> str:
    return "–" if size is None else f"{size / 2**20:,.0f}"
