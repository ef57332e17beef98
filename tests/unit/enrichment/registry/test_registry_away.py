"""A registry that is away holds events up, and loses none."""

from __future__ import annotations

import asyncio
import json

import pytest

from streamproc.clock import SystemClock
from streamproc.enrichment.registry.registry_format import RegistryFormat
from streamproc.enrichment.registry.schemas import SchemaRefused
from streamproc.errors import RegistryUnavailable
from streamproc.settings import read_settings
from streamproc.worker.registry import START_TRIES, RegistryFormats
from tests.support.avro_events import ORDER, encoded, framed, order
from tests.support.registries import MemoryRegistry
from tests.support.route_scenes import MOOD, RegistryScene


class Clock(SystemClock):
    """Sleeps no longer than a turn of the loop."""

    def __init__(self) -> None:
        self.slept_s: list[float] = []
        self.ahead_s = 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        await asyncio.sleep(0)

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.ahead_s


class Scene(RegistryScene):
    """With a clock that does not wait."""

    def _events(self) -> RegistryFormat:
        self.clock = Clock()
        self.format = RegistryFormat(self.route, self.registry, self.clock)
        return self.format


def away(times: int, at: str, registry: MemoryRegistry) -> None:
    """Let so many calls of one kind fail."""
    left = [times]

    def fail(name: str) -> None:
        if name == at and left[0]:
            left[0] -= 1
            raise RegistryUnavailable("no schema registry answers at http://r: ConnectError")

    registry.before = fail


@pytest.mark.parametrize("call", ["schema", "register"])
async def test_an_event_waits_until_the_registry_is_back(call: str) -> None:
    registry = MemoryRegistry()
    name = registry.add("in-value", ORDER)
    scene = Scene(registry, MOOD)
    away(7, call, registry)

    published = await scene.through(framed(name.id, encoded(ORDER, order())))

    assert published.topic == "out"
    assert scene.clock.slept_s == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert scene.format.not_ready() == []


async def test_readiness_says_why_while_events_wait() -> None:
    registry = MemoryRegistry()
    name = registry.add("in-value", ORDER)
    scene = Scene(registry, MOOD)
    away(10**9, "schema", registry)

    waiting = asyncio.create_task(scene.through(framed(name.id, encoded(ORDER, order()))))
    await asyncio.sleep(0.01)
    reasons = scene.format.not_ready()
    waiting.cancel()
    await asyncio.wait({waiting})

    assert reasons == ["no schema registry answers at http://r: ConnectError"]
    assert scene.format.not_ready() == []
    assert not scene.published


async def test_events_of_schemas_that_are_known_go_on_while_the_registry_is_away() -> None:
    registry = MemoryRegistry()
    name = registry.add("in-value", ORDER)
    scene = Scene(registry, MOOD)
    value = framed(name.id, encoded(ORDER, order()))
    await scene.through(value)
    away(10**9, "schema", registry)

    assert (await scene.through(value)).topic == "out"


async def test_a_schema_that_is_refused_while_events_come_is_asked_again_later() -> None:
    registry = MemoryRegistry()
    name = registry.add("in-value", ORDER)
    scene = Scene(registry, MOOD)
    value = framed(name.id, encoded(ORDER, order()))

    def refuse(call: str) -> None:
        if call == "register":
            raise SchemaRefused("output schema refused", "it is not compatible")

    registry.before = refuse
    letters = [await scene.through(value) for _ in range(3)]
    asked = registry.asked.count("register")
    registry.before = lambda call: None
    scene.clock.ahead_s += 60
    later = await scene.through(value)

    assert [letter.topic for letter in letters] == ["dead"] * 3
    assert asked == 1
    assert later.topic == "out"


async def test_events_wait_for_the_schemas_there_were_at_start() -> None:
    registry = MemoryRegistry()
    first = registry.add("in-value", ORDER)
    registry.add("in-value", {**ORDER, "fields": ORDER["fields"][:2]})
    scene = Scene(registry, MOOD)
    away(3, "versions", registry)
    with pytest.raises(RegistryUnavailable):
        await scene.format.prepare(tries=2)

    waiting = asyncio.create_task(scene.through(framed(first.id, encoded(ORDER, order()))))
    await asyncio.sleep(0.01)
    published_before = list(scene.published)
    await scene.format.prepare()
    published = await waiting

    assert not published_before
    assert published.topic == "out"
    longer = [len(json.loads(one.text)["fields"]) for one in registry.under("out-value")]
    assert longer == [len(ORDER["fields"]) + 1, 3]


async def test_a_schema_that_is_refused_late_ends_the_worker() -> None:
    registry = MemoryRegistry()
    registry.add("in-value", {**ORDER, "fields": [{"name": "nlp", "type": "string"}]})
    scene = Scene(registry, MOOD)
    formats = RegistryFormats(read_settings(), [], scene.clock)
    formats.formats["shop"] = scene.format
    away(START_TRIES, "versions", registry)

    await formats.prepare()
    before = formats.refusal
    await formats.prepare_late()

    assert before is None
    assert "route shop: in-value" in (formats.refusal or "")
    assert registry.asked == ["versions"] * (START_TRIES + 1)
