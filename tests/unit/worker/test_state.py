"""What a worker says of itself, put together from its parts."""

from __future__ import annotations

from typing import Any, cast

from streamproc.kafka.worker_status import WorkerStatus
from streamproc.messages.worker_state import WorkerState, read_state
from streamproc.metrics import Metrics
from streamproc.serving.engine import Engine
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.settings import Settings
from streamproc.testing import (
    ManualClock,
    MemoryBroker,
    ScriptedSession,
    build_engine,
    build_pipeline,
    build_record,
    build_spec,
)
from streamproc.worker.state import Served, StateReporter

TEXT = "the good film of Mrs. Blenkinsop"


class Unchanged:
    """Engines whose versions nobody has promoted."""

    def __init__(self, *engines: Engine) -> None:
        self._engines = engines

    def engines(self) -> tuple[Engine, ...]:
        return self._engines

    def refusal(self, name: str) -> None:
        return None

    def followed_at_ms(self, name: str) -> None:
        return None


def state_of(*engines: Engine) -> WorkerState:
    served = Served((), (), Unchanged(*engines), "cpu", 2, 64, device_memory=lambda: None)
    kafka = WorkerStatus(cast(Any, None), ready_lag_s=1.0)
    clock = ManualClock()
    return StateReporter(Settings(), served, kafka, list, Metrics(), clock, "worker").state()


async def test_the_last_disagreements_go_out_without_their_texts(executor: ModelExecutor) -> None:
    sessions = [ScriptedSession(name) for name in "abc"]
    engine = build_engine(build_spec("abc"), sessions, executor=executor)
    pipeline = build_pipeline(MemoryBroker(), engine)
    for offset in range(12):
        text = f"{'bad ' * offset}{TEXT}"
        await pipeline(build_record({"id": f"r{offset}", "text": text}, offset=offset))

    sent = state_of(engine).encode()

    read = read_state(sent)
    assert read is not None
    (ensemble,) = read.ensembles
    assert [one.request_id for one in ensemble.disagreements] == [
        one.request_id for one in engine.disagreements.last()
    ]
    assert ensemble.disagreements
    for one in ensemble.disagreements:
        assert one.members.keys() == {"a", "b", "c"}
        assert {one.together, *one.members.values()} == {"negative", "positive"}
    assert not any(word.encode() in sent for word in TEXT.split() if len(word) > 3)
