"""What a worker says of itself: made every few seconds of what it counts anyway, and published."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Protocol

import structlog

from streamproc import __version__
from streamproc.clock import Clock
from streamproc.enrichment.route import Route
from streamproc.kafka.background import beside
from streamproc.kafka.state_publisher import StatePublisher
from streamproc.kafka.topics import RequestTopic
from streamproc.kafka.worker_status import WorkerStatus
from streamproc.messages.lane import Lane
from streamproc.messages.worker_state import (
    DisagreementState,
    EnsembleState,
    ExperimentState,
    LaneState,
    MachineState,
    MemberState,
    RouteState,
    WorkerState,
)
from streamproc.metrics import Metrics
from streamproc.serving.engine import Engine
from streamproc.serving.inference.device_memory import DeviceMemory
from streamproc.settings import Settings
from streamproc.worker.metric_window import MetricWindow
from streamproc.worker.refusals import Refusal

WINDOW_S: Final = 60.0

_log = structlog.get_logger(__name__)


def new_worker_id() -> str:
    """One that no other start of a worker has, and that says where it runs."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"


class Versions(Protocol):
    """The engines of a worker in the versions that it serves; `ModelVersions` are."""

    def engines(self) -> Sequence[Engine]:
        """Those that serve now."""
        ...

    def refusal(self, name: str) -> Refusal | None:
        """Why an ensemble is not served in the version that is promoted; None: it is."""
        ...

    def followed_at_ms(self, name: str) -> int | None:
        """When that was chosen which is served or refused by now; None: nothing was."""
        ...


@dataclass(frozen=True, slots=True)
class Served:
    """What a worker serves.

    budget_tokens: that a batch may have, padding included
    device_memory: asks for the GPU's
    experiments: asks for those that it takes part in
    """

    topics: Sequence[RequestTopic]
    routes: Sequence[Route]
    versions: Versions
    device: str
    threads: int
    budget_tokens: int
    device_memory: Callable[[], DeviceMemory | None]
    experiments: Callable[[], Sequence[ExperimentState]] = tuple


class StateReporter:
    """Puts a worker's state together, from its metrics and what its parts say of themselves."""

    def __init__(
        self,
        settings: Settings,
        served: Served,
        kafka: WorkerStatus,
        not_ready: Callable[[], Sequence[str]],
        metrics: Metrics,
        clock: Clock,
        worker: str,
    ) -> None:
        """not_ready: why the worker is not; worker: its id"""
        self._settings = settings
        self._served = served
        self._kafka = kafka
        self._not_ready = not_ready
        self._clock = clock
        self._worker = worker
        self._started_ms = clock.now_ms()
        self._window = MetricWindow(
            (
                metrics.requests,
                metrics.errors,
                metrics.request_seconds,
                metrics.route_events,
                metrics.route_seconds,
                metrics.batches,
                metrics.tokens,
                metrics.member_failures,
                metrics.member_choices,
                metrics.member_seconds,
                metrics.queued_tokens,
                metrics.process,
            ),
            WINDOW_S,
        )
        self._window.take(clock.monotonic_s())

    async def report(self, publisher: StatePublisher) -> NoReturn:
        """Publish a state at every interval, until cancelled; no mistake in it ends the worker."""
        failed = False
        while True:
            try:
                await publisher.publish(self.state().encode())
            except Exception as error:  # noqa: BLE001 - a picture is not worth a worker
                if not failed:
                    _log.error("state could not be made", error=f"{type(error).__name__}: {error}")
                failed = True
            await self._clock.sleep(self._settings.state_interval_s)

    def state(self) -> WorkerState:
        """That of this moment."""
        self._window.take(self._clock.monotonic_s())
        reasons = list(self._not_ready())
        return WorkerState(
            worker=self._worker,
            group=self._settings.group_id,
            version=__version__,
            host=socket.gethostname(),
            pid=os.getpid(),
            at_ms=self._clock.now_ms(),
            started_ms=self._started_ms,
            interval_s=self._settings.state_interval_s,
            window_s=round(self._window.seconds, 1),
            ready=not reasons,
            reasons=reasons,
            tasks=list(dict.fromkeys(topic.task for topic in self._served.topics)),
            in_flight_bytes={lane.name.lower(): self._kafka.in_flight_bytes(lane) for lane in Lane},
            max_in_flight_bytes=self._settings.max_in_flight_bytes,
            lanes=self._lanes(),
            routes=[self._route(route) for route in self._served.routes],
            ensembles=[self._ensemble(engine) for engine in self._served.versions.engines()],
            machine=self._machine(),
            experiments=list(self._served.experiments()),
        )

    def _lanes(self) -> list[LaneState]:
        topics: dict[tuple[str, str], list[str]] = {}
        for topic in self._served.topics:
            topics.setdefault((topic.task, topic.lane.name.lower()), []).append(topic.name)
        return [
            LaneState(
                task=task,
                lane=lane,
                topics=names,
                per_s=self._per_s("streamproc_requests_total", task=task, lane=lane),
                errors_per_s=self._per_s("streamproc_errors_total", task=task, lane=lane),
                finished=self._window.totals(
                    "streamproc_requests_total", "status", task=task, lane=lane
                ),
                errors=self._window.totals("streamproc_errors_total", "type", task=task, lane=lane),
                **self._times("streamproc_request_seconds", task=task, lane=lane),
                **self._waiting(names),
            )
            for (task, lane), names in topics.items()
        ]

    def _route(self, route: Route) -> RouteState:
        finished = self._window.totals("streamproc_route_events_total", "outcome", route=route.name)
        return RouteState(
            name=route.name,
            topics=list(route.from_.topics),
            per_s=self._per_s("streamproc_route_events_total", route=route.name),
            errors_per_s=self._per_s(
                "streamproc_route_events_total", route=route.name, outcome="dead-letter"
            ),
            finished=finished,
            errors={name: count for name, count in finished.items() if name == "dead-letter"},
            **self._times("streamproc_route_seconds", route=route.name),
            **self._waiting(route.from_.topics),
        )

    def _times(self, name: str, **labels: str) -> dict[str, Any]:
        found = self._window.quantiles(name, 0.5, 0.99, **labels)
        times = [None if seconds is None else round(seconds * 1000, 1) for seconds in found]
        return dict(zip(("p50_ms", "p99_ms"), times, strict=True))

    def _waiting(self, topics: Sequence[str]) -> dict[str, int | None]:
        backlog = self._kafka.backlog(topics)
        return {"waiting": backlog.waiting, "oldest_ms": backlog.oldest_ms(self._clock.now_ms())}

    def _ensemble(self, engine: Engine) -> EnsembleState:
        spec, window = engine.spec, self._window
        tokens = {
            kind: window.gained("streamproc_tokens_total", ensemble=spec.name, kind=kind)
            for kind in ("content", "padded", "read", "written")
        }
        batches = window.gained("streamproc_batches_total", ensemble=spec.name)
        own = tokens["content"] + tokens["read"] + tokens["written"]
        room = batches * self._served.budget_tokens
        refusal = self._served.versions.refusal(spec.name)
        return EnsembleState(
            name=spec.name,
            task=engine.task.name,
            version=spec.version,
            manifest=spec.digest,
            wanted=None if refusal is None else refusal.wanted.version,
            refused=None if refusal is None else refusal.reason,
            followed_at_ms=self._served.versions.followed_at_ms(spec.name),
            tokens_per_s=round(own / window.seconds, 1) if window.seconds else 0.0,
            queued_tokens=round(window.total("streamproc_queued_tokens", ensemble=spec.name)),
            batch_fill=_share(tokens["padded"], room),
            padding=_share(tokens["padded"], tokens["content"]),
            members=[
                self._member(spec.name, member.name, member.version, own) for member in spec.members
            ],
            disagreements=[
                DisagreementState(
                    at_ms=one.at_ms,
                    request_id=one.request_id,
                    position=one.position,
                    agreement=round(one.agreement, 3),
                    together=one.choices.together,
                    members=dict(one.choices.members),
                )
                for one in engine.disagreements.last()
            ],
        )

    def _member(self, ensemble: str, name: str, version: str, tokens: float) -> MemberState:
        of = {"ensemble": ensemble, "member": name}
        failures = self._window.totals("streamproc_member_failures_total", "status", **of)
        choices = self._window.totals("streamproc_member_choices_total", "agreed", **of)
        took_s = self._window.gained("streamproc_member_seconds_total", **of)
        return MemberState(
            name=name,
            version=version,
            late=failures.get("late", 0),
            failed=failures.get("failed", 0),
            agreement=_share(choices.get("yes", 0), sum(choices.values())),
            ms_per_1000_tokens=_share(took_s * 1e6, tokens),
        )

    def _machine(self) -> MachineState:
        memory = self._served.device_memory()
        resident = self._window.total("process_resident_memory_bytes")
        cpu_seconds = self._window.total("process_cpu_seconds_total")
        return MachineState(
            device=self._served.device,
            threads=self._served.threads,
            cpu=self._per_s("process_cpu_seconds_total") if self._window.seconds else None,
            cpu_seconds=round(cpu_seconds, 3) or None,
            resident_bytes=round(resident) or None,
            device_used_bytes=memory.used if memory else None,
            device_total_bytes=memory.total if memory else None,
        )

    def _per_s(self, name: str, **labels: str) -> float:
        return round(self._window.per_s(name, **labels), 3)


@asynccontextmanager
async def reporting(reporter: StateReporter, publisher: StatePublisher) -> AsyncIterator[None]:
    """Report within the block, and leave a tombstone at its end."""
    try:
        async with beside(reporter.report(publisher)):
            yield
    finally:
        await publisher.close()


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 3) if whole else None
