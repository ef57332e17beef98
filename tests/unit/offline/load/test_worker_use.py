"""What workers used within a step, by what they said within it."""

from __future__ import annotations

from streamproc.messages.worker_state import MachineState, WorkerState
from streamproc.offline.load.worker_use import WorkerUse, uses_within


def state(worker: str, at_s: float, cpu_seconds: float | None, resident: int = 100) -> WorkerState:
    return WorkerState(
        worker=worker,
        group="g",
        version="1",
        at_ms=round(at_s * 1000),
        started_ms=0,
        interval_s=2.0,
        ready=True,
        machine=MachineState(cpu_seconds=cpu_seconds, resident_bytes=resident),
    )


def test_cpu_is_that_of_the_step_and_memory_its_most() -> None:
    states = [
        state("b", 4, 100.0),
        state("a", 4, 10.0),
        state("a", 6, 12.0, 300),
        state("a", 8, 17.0, 200),
        state("a", 20, 99.0, 999),
        state("c", 20, 1.0),
    ]

    assert uses_within(states, 4_000, 8_000) == [
        WorkerUse("a", 1.75, 300, None),
        WorkerUse("b", None, 100, None),
    ]


def test_a_worker_that_does_not_say_its_cpu_is_shown_without() -> None:
    (use,) = uses_within([state("a", 1, None), state("a", 3, None)], 0, 9_000)

    assert use == WorkerUse("a", None, 100, None)
