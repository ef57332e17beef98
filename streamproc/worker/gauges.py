"""What is read off a worker when its metrics are asked for: readiness, and what waits for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from streamproc.clock import Clock
from streamproc.kafka.dispatcher import Subscription
from streamproc.kafka.worker_status import WorkerStatus
from streamproc.messages.lane import Lane
from streamproc.metrics import Metrics


def set_gauges(
    metrics: Metrics,
    worker: WorkerStatus,
    subscriptions: Sequence[Subscription],
    reasons: Callable[[], Sequence[str]],
    clock: Clock,
) -> None:
    """Have each gauge ask for its value. reasons: why the worker is not ready"""
    metrics.ready.set_function(lambda: not reasons())
    metrics.kept_answers.set_function(lambda: worker.kept_answers)
    for lane in Lane:
        in_flight = metrics.in_flight_bytes.labels(lane.name.lower())
        in_flight.set_function(partial(worker.in_flight_bytes, lane))
    for one in subscriptions:
        labels = one.topic, one.lane.name.lower()
        metrics.lag_seconds.labels(*labels).set_function(
            partial(_lag_seconds, worker, one.topic, clock)
        )
        metrics.lag_records.labels(*labels).set_function(partial(_lag_records, worker, one.topic))
        metrics.assigned.labels(*labels).set_function(partial(_assigned, worker, one.topic))


def _lag_seconds(worker: WorkerStatus, topic: str, clock: Clock) -> float:
    return (worker.backlog((topic,)).oldest_ms(clock.now_ms()) or 0) / 1000


def _lag_records(worker: WorkerStatus, topic: str) -> int:
    return worker.backlog((topic,)).waiting


def _assigned(worker: WorkerStatus, topic: str) -> int:
    return sum(one.topic == topic for one in worker.assigned)
