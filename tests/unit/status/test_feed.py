"""What a picture tells where Kafka's client raises what nobody has seen before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import Any

import pytest

from streamproc.clock import SystemClock
from streamproc.kafka.lag import TopicLag
from streamproc.kafka.topic_follower import Followed
from streamproc.settings import Settings
from streamproc.status import feed as feed_module
from streamproc.status import live as live_module
from streamproc.status.feed import StatusFeed
from streamproc.status.live import LiveStatus


class Offsets:
    """Raises what it is told to, then has no topic wait for anything."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = [*errors]

    async def __aenter__(self) -> Offsets:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def lags(
        self, topics: Mapping[str, bool], look_for_oldest: Collection[str] = ()
    ) -> dict[str, TopicLag]:
        if self.errors:
            raise self.errors.pop(0)
        return {name: TopicLag(exists=True) for name in topics}


def followed(*errors: Exception) -> Any:
    """Follows a topic without records, and raises these before."""
    left = [*errors]

    async def follow(_settings: Settings, _topic: str) -> AsyncIterator[Followed]:
        if left:
            raise left.pop(0)
        while True:
            yield Followed([], is_whole=True)
            await asyncio.sleep(0.01)

    return follow


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - nobody is told of it
            await asyncio.sleep(0.01)


async def noted(feed: StatusFeed, what: str, *, is_there: bool = True) -> None:
    await until(lambda: any(what in note for note in feed.overview().notes) is is_there)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (feed_module, live_module):
        monkeypatch.setattr(module, "TRY_AGAIN_S", 0.05)
    monkeypatch.setattr(feed_module, "LAG_INTERVAL_S", 0.05)


async def test_what_reading_states_raises_is_told_and_they_are_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feed_module, "LagReader", lambda _: Offsets())
    monkeypatch.setattr(feed_module, "follow_topic", followed(AssertionError("no buffer")))

    async with asyncio.timeout(30), StatusFeed(Settings(), SystemClock()) as feed:
        await noted(feed, "workers can't be seen: AssertionError: no buffer")
        await noted(feed, "workers can't be seen", is_there=False)


async def test_what_reading_offsets_raises_is_told_and_they_are_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offsets = Offsets(KeyError("partitions"))
    monkeypatch.setattr(feed_module, "LagReader", lambda _: offsets)
    monkeypatch.setattr(feed_module, "follow_topic", followed())

    async with asyncio.timeout(30), StatusFeed(Settings(), SystemClock()) as feed:
        assert any("KeyError: 'partitions'" in note for note in feed.overview().notes)
        await noted(feed, "KeyError", is_there=False)
        offsets.errors.append(ValueError("later"))
        await noted(feed, "ValueError: later")
        await noted(feed, "ValueError", is_there=False)


async def test_a_server_that_could_not_connect_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def __init__(self, *_: object) -> None:
            raise RuntimeError("not today")

    monkeypatch.setattr(live_module, "StatusFeed", Refusing)
    async with asyncio.timeout(30), LiveStatus(Settings(), SystemClock()) as status:
        await until(lambda: status.picture()["notes"] == ("not today",))
        monkeypatch.setattr(feed_module, "LagReader", lambda _: Offsets())
        monkeypatch.setattr(feed_module, "follow_topic", followed())
        monkeypatch.setattr(live_module, "StatusFeed", StatusFeed)
        await until(lambda: not status.picture()["notes"])
