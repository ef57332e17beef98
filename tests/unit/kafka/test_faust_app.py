from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from mode import Service

from streamproc.kafka.consumer_state import ConsumerState
from streamproc.kafka.faust_app import AgentSupervisor, build_app
from streamproc.settings import Settings


class Actor(Service):  # type: ignore[misc]
    """Counts how often it begins."""

    def __init__(self, app: Any) -> None:
        super().__init__()
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


async def test_agents_of_a_worker_have_that_supervisor() -> None:
    app = build_app(Settings(), {"requests": lambda _: None}, ConsumerState())

    assert app.conf.agent_supervisor is AgentSupervisor
