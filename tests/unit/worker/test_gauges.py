from __future__ import annotations

from collections.abc import Callable, Container

from streamproc.kafka.backlog import Backlog
from streamproc.kafka.dispatcher import Subscription
from streamproc.kafka.worker_status import WorkerStatus
from streamproc.messages.lane import Lane
from streamproc.messages.record import Record, TopicPartition
from streamproc.metrics import Metrics
from streamproc.testing import ManualClock
from streamproc.worker.gauges import set_gauges


class Status(WorkerStatus):
    """A worker in some state."""

    def __init__(self) -> None:
        self.found: dict[str, Backlog] = {}
        self.has = frozenset[TopicPartition]()

    def backlog(self, topics: Container[str]) -> Backlog:
        return sum((one for name, one in self.found.items() if name in topics), Backlog())

    @property
    def assigned(self) -> frozenset[TopicPartition]:
        return self.has

    def in_flight_bytes(self, lane: Lane) -> int:
        return 100 * int(lane)


async def handle(record: Record) -> None:
    del record


def shown(metrics: Metrics) -> Callable[..., float | None]:
    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, labels)

    return value


async def test_gauges_say_how_the_worker_does_at_the_moment_that_they_are_read() -> None:
    metrics, worker, clock, reasons = Metrics(), Status(), ManualClock(), ["stopping"]
    topics = [
        Subscription("a", Lane.INTERACTIVE, handle),
        Subscription("b", Lane.BULK, handle),
    ]
    set_gauges(metrics, worker, topics, lambda: reasons, clock)
    value = shown(metrics)

    assert value("streamproc_ready") == 0
    assert value("streamproc_assigned_topic_partitions", topic="a", lane="interactive") == 0
    assert value("streamproc_lag_seconds", topic="a", lane="interactive") == 0
    assert value("streamproc_in_flight_bytes", lane="bulk") == 100 * int(Lane.BULK)

    reasons.clear()
    worker.has = frozenset(TopicPartition("a", number) for number in range(3))
    worker.found = {"a": Backlog(7, clock.now_ms() - 2500), "b": Backlog(2, None)}
    assert value("streamproc_ready") == 1
    assert value("streamproc_assigned_topic_partitions", topic="a", lane="interactive") == 3
    assert value("streamproc_assigned_topic_partitions", topic="b", lane="bulk") == 0
    assert value("streamproc_lag_seconds", topic="a", lane="interactive") == 2.5
    assert value("streamproc_lag_records", topic="a", lane="interactive") == 7
    assert value("streamproc_lag_seconds", topic="b", lane="bulk") == 0
    assert value("streamproc_lag_records", topic="b", lane="bulk") == 2


async def test_a_record_from_a_clock_that_is_ahead_has_no_lag() -> None:
    metrics, worker, clock = Metrics(), Status(), ManualClock()
    worker.found = {"a": Backlog(1, clock.now_ms() + 60_000)}
    set_gauges(metrics, worker, [Subscription("a", Lane.BULK, handle)], list, clock)
    assert shown(metrics)("streamproc_lag_seconds", topic="a", lane="bulk") == 0
