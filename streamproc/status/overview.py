"""One picture of a group: a strip of figures, and rows for topics, ensembles and workers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from streamproc.kafka.lag import TopicLag
from streamproc.messages.worker_state import MachineState, Traffic, WorkerState
from streamproc.status.ensemble_rows import (
    DisagreementRow,
    EnsembleRow,
    disagreement_rows,
    ensemble_rows,
    refused_versions,
)
from streamproc.status.watched import Watched

ON_ITS_WAY_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Strip:
    """The figures that are looked at first.

    workers: that have not stopped, those that have fallen silent among them
    oldest_ms: age of the oldest record that waits; None: none does, or it is not known
    clear_s: seconds until nothing waits, at today's rate and if nothing more came; None: never,
        as something waits and nothing is finished
    error_share: of what was finished in the last minute; None: nothing was
    """

    workers: int
    ready: int
    per_s: float
    waiting: int
    oldest_ms: int | None
    clear_s: float | None
    error_share: float | None


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A lane of a task, or a route, over all workers.

    workers: that serve it now
    exists: whether all of its topics do
    p50_ms, p99_ms: of the slowest worker
    errors: since the workers began, by type
    cancelled: requests that were taken back since then, which are no errors
    """

    name: str
    task: str
    lane: str
    route: str | None
    topics: tuple[str, ...]
    workers: int
    exists: bool
    per_s: float
    errors_per_s: float
    p50_ms: float | None
    p99_ms: float | None
    waiting: int
    oldest_ms: int | None
    clear_s: float | None
    errors: Mapping[str, int]
    cancelled: int


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """One worker; silent_s: since it last said anything. stale: it is taken to be gone."""

    worker: str
    host: str
    version: str
    ready: bool
    stale: bool
    silent_s: float
    up_s: float
    reasons: tuple[str, ...]
    machine: MachineState
    in_flight_bytes: Mapping[str, int]
    max_in_flight_bytes: int

    def as_json(self) -> dict[str, object]:
        """The row as orjson takes it."""
        row: dict[str, object] = {name: getattr(self, name) for name in self.__slots__}
        return row | {"machine": self.machine.model_dump(mode="json")}


@dataclass(frozen=True, slots=True)
class Overview:
    """How a group does at one moment.

    at_ms: milliseconds since the epoch
    disagreements: the last of all workers, the newest first
    other_groups: that have workers on the same Kafka
    notes: what keeps the picture from being whole, a sentence each
    """

    at_ms: int
    group: str
    strip: Strip
    sources: tuple[SourceRow, ...]
    ensembles: tuple[EnsembleRow, ...]
    workers: tuple[WorkerRow, ...]
    disagreements: tuple[DisagreementRow, ...] = ()
    other_groups: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, object]:
        """The same as orjson takes it."""
        shown: dict[str, object] = {name: getattr(self, name) for name in self.__slots__}
        return shown | {"workers": [row.as_json() for row in self.workers]}


def overview(
    group: str,
    states: Sequence[WorkerState],
    sources: Sequence[Watched],
    lags: Mapping[str, TopicLag],
    now_ms: int,
    other_groups: Iterable[str] = (),
    notes: Iterable[str] = (),
) -> Overview:
    """states: the last of each worker; lags: of the sources' topics, as Kafka has them."""
    live = [state for state in states if not state.is_stale(now_ms)]
    rows = tuple(_source(source, live, lags, now_ms) for source in sources)
    return Overview(
        at_ms=now_ms,
        group=group,
        strip=_strip(states, live, rows),
        sources=rows,
        ensembles=tuple(ensemble_rows(live)),
        workers=tuple(_worker(state, now_ms) for state in states),
        disagreements=tuple(disagreement_rows(live)),
        other_groups=tuple(other_groups),
        notes=(*notes, *refused_versions(live)),
    )


def _strip(
    states: Sequence[WorkerState], live: Sequence[WorkerState], rows: Sequence[SourceRow]
) -> Strip:
    per_s = sum(row.per_s for row in rows)
    errors_per_s = sum(row.errors_per_s for row in rows)
    times = [row.clear_s for row in rows]
    return Strip(
        workers=len(states),
        ready=sum(state.ready for state in live),
        per_s=round(per_s, 2),
        waiting=sum(row.waiting for row in rows),
        oldest_ms=_largest(row.oldest_ms for row in rows),
        clear_s=None if None in times else max((s for s in times if s is not None), default=0.0),
        error_share=round(errors_per_s / per_s, 4) if per_s else None,
    )


def _source(
    source: Watched, live: Sequence[WorkerState], lags: Mapping[str, TopicLag], now_ms: int
) -> SourceRow:
    traffic = [found for state in live for found in _traffic(state, source)]
    known = [lags[name] for name in source.topics if name in lags]
    # Kafka counts everybody's; a worker knows when what it has in hand was made.
    waiting = sum(lag.waiting for lag in known) if known else sum(t.waiting for t in traffic)
    ages = [max(0, now_ms - lag.oldest_at_ms) for lag in known if lag.oldest_at_ms is not None]
    per_s = sum(one.per_s for one in traffic)
    errors: dict[str, int] = {}
    for one in traffic:
        for kind, count in one.errors.items():
            errors[kind] = errors.get(kind, 0) + count
    oldest_ms = _largest([*ages, *(one.oldest_ms for one in traffic)]) if waiting else None
    return SourceRow(
        name=source.route or source.task,
        task=source.task,
        lane=source.lane,
        route=source.route,
        topics=source.topics,
        workers=len(traffic),
        exists=all(lag.exists for lag in known),
        per_s=round(per_s, 2),
        errors_per_s=round(sum(one.errors_per_s for one in traffic), 3),
        p50_ms=_largest(one.p50_ms for one in traffic),
        p99_ms=_largest(one.p99_ms for one in traffic),
        waiting=waiting,
        oldest_ms=oldest_ms,
        clear_s=_clear_s(waiting, per_s, oldest_ms, served=bool(traffic)),
        errors=errors,
        cancelled=sum(one.finished.get("cancelled", 0) for one in traffic),
    )


def _clear_s(waiting: int, per_s: float, oldest_ms: int | None, *, served: bool) -> float | None:
    """Seconds until nothing waits; None: never, as it stands.

    What is on its way is no backlog: the rate of a worker that has little to do says nothing of
    how fast it could be.
    """
    if not waiting or (served and (oldest_ms or 0) < ON_ITS_WAY_MS):
        return 0.0
    return round(waiting / per_s, 1) if per_s else None


def _traffic(state: WorkerState, source: Watched) -> list[Traffic]:
    """What a worker says of a source; nothing where it does not serve it."""
    if source.route is not None:
        return [route for route in state.routes if route.name == source.route]
    own = (source.task, source.lane)
    return [lane for lane in state.lanes if (lane.task, lane.lane) == own]


def _worker(state: WorkerState, now_ms: int) -> WorkerRow:
    stale = state.is_stale(now_ms)
    return WorkerRow(
        worker=state.worker,
        host=state.host,
        version=state.version,
        ready=state.ready and not stale,
        stale=stale,
        silent_s=round(max(0, now_ms - state.at_ms) / 1000, 1),
        up_s=round((state.at_ms - state.started_ms) / 1000, 1),
        reasons=tuple(state.reasons),
        machine=state.machine,
        in_flight_bytes=state.in_flight_bytes,
        max_in_flight_bytes=state.max_in_flight_bytes,
    )


def _largest(values: Iterable[float | int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return round(max(known)) if known else None
