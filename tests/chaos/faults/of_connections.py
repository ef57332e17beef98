"""Connections between workers and the broker that stall, or are cut."""

from __future__ import annotations

import asyncio

from tests.chaos.place import SESSION_S, Place
from tests.support.tcp_link import Link

FLAPS = 5


class Stalled:
    """All connections carry nothing for a while, shorter than a session, and then all of it."""

    name = "connections stalled"

    async def act(self, place: Place) -> None:
        await _without_passing(place, place.links, place.draw.uniform(2, SESSION_S - 1))


class StalledAlone:
    """Those of one worker, for longer than a session: it works on while others take over."""

    name = "one worker's connections stalled"

    async def act(self, place: Place) -> None:
        seconds = SESSION_S + place.draw.uniform(2, 6)
        await _without_passing(place, [place.draw.choice(place.links)], seconds)


class Flapping:
    """All connections are reset, again and again, and refused in between."""

    name = "connections cut"

    async def act(self, place: Place) -> None:
        for _ in range(FLAPS):
            for link in place.links:
                link.cut()
            await asyncio.sleep(place.draw.uniform(0.1, 1))
            for link in place.links:
                link.restore()
            await asyncio.sleep(place.draw.uniform(0.1, 2))


async def _without_passing(place: Place, links: list[Link], seconds: float) -> None:
    place.say(f"for {seconds:.1f} s")
    for link in links:
        link.stall()
    await asyncio.sleep(seconds)
    for link in links:
        link.restore()
