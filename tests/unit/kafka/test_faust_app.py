from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest
from aiokafka.errors import TopicAuthorizationFailedError
from faust.types import TP
from mode import Service

from streamproc.errors import TopicsError
from streamproc.kafka.consumer_state import ConsumerState
from streamproc.kafka.faust_app import AgentSupervisor, build_app
from streamproc.kafka.running_app import RunningApp
from streamproc.settings import Settings


class Actor(Service):  # type: ignore[misc]
    """Counts how often it begins."""

    def __init__(self, app: Any, beacon: Any = None) -> None:
        super().__init__(beacon=beacon)
        self.agent = SimpleNamespace(app=app)
        self.begun = 0

    async def on_start(self) -> None:
        self.begun += 1


@pytest.mark.parametrize(("should_stop", "begun"), [(False, 2), (True, 1)])
async def test_an_agent_that_has_ended_begins_again_unless_its_app_is_to_stop(
    should_stop: bool, begun: int
) -> None:
    app = SimpleNamespace(should_stop=False)
    actor = Actor(app)
    supervisor = AgentSupervisor(actor)
    await supervisor.start_services([actor])
    app.should_stop = should_stop

    await supervisor.restart_services([actor])

    assert actor.begun == begun
    await actor.stop()


async def test_an_agent_that_does_not_run_is_not_begun_while_its_app_stops() -> None:
    actor = Actor(SimpleNamespace(should_stop=True))

    await AgentSupervisor(actor).start_services([actor])

    assert actor.begun == 0


async def test_an_app_ends_by_what_it_crashed_by_first() -> None:
    app = build_app(Settings(), {"requests": lambda _: None}, ConsumerState())
    running = RunningApp(app)
    one, another = Actor(app, app.beacon), Actor(app, app.beacon)
    await one.crash(TopicAuthorizationFailedError("requests"))
    await another.crash(asyncio.CancelledError())
    await running.wait(())

    with pytest.raises(TopicsError, match="this user may not read topic requests"):
        running.raise_what_failed(())
    await running.stop()


async def test_an_assignment_whose_seek_takes_longer_than_a_request_may_is_begun_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = build_app(Settings(), {"requests": lambda _: None}, ConsumerState())
    app.finalize()
    app.conf.broker_request_timeout = 0.05
    begun: list[int] = []
    is_back = asyncio.Event()

    async def seek() -> None:
        await is_back.wait()

    def resume() -> None:
        begun.append(app.consumer_generation_id)

    monkeypatch.setattr(
        app,
        "_consumer",
        SimpleNamespace(
            assignment=lambda: {TP("requests", 0)},
            resume_partitions=lambda _: None,
            perform_seek=seek,
            resume_flow=resume,
        ),
    )
    fetcher = SimpleNamespace(maybe_start=AsyncMock())
    monkeypatch.setattr(app, "_fetcher", fetcher, raising=False)
    recovery = app.tables.recovery
    await recovery.start()

    async def assign(generation: int) -> None:
        app.consumer_generation_id = recovery._generation_id = generation
        recovery.signal_recovery_start.set()
        await asyncio.sleep(0.2)

    await assign(1)
    assert not begun
    is_back.set()
    await asyncio.sleep(0.05)
    assert begun == [1]
    await assign(2)
    assert begun == [1, 2]
    await recovery.stop()


async def test_agents_of_a_worker_have_that_supervisor() -> None:
    app = build_app(Settings(), {"requests": lambda _: None}, ConsumerState())

    assert app.conf.agent_supervisor is AgentSupervisor
