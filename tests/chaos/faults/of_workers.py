"""Workers that end, stand still, or are of another version."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.chaos.place import SESSION_S, Place
from tests.support.command import ROOT, STREAMPROC


class Killed:
    """SIGKILL, and a new start at once."""

    name = "kill -9"

    async def act(self, place: Place) -> None:
        worker = await place.pick()
        worker.kill()
        worker.start()


class Paused:
    """SIGSTOP for longer than a session, so that others take over, then SIGCONT."""

    name = "SIGSTOP beyond the session"

    async def act(self, place: Place) -> None:
        worker = await place.pick()
        await worker.pause(SESSION_S + place.draw.uniform(1, 4))


class Terminated:
    """SIGTERM, and a new start once it has drained."""

    name = "SIGTERM"

    async def act(self, place: Place) -> None:
        worker = await place.pick()
        code = await worker.terminate()
        assert code == 0, f"exit code {code} after SIGTERM: {worker.last_words()}"
        worker.start()


class OtherVersion:
    """A worker of older code takes the place of one for a while, as a rolling update has it."""

    name = "two versions"

    def __init__(self, tree: Path) -> None:
        """tree: of the older code"""
        self._tree = tree

    async def act(self, place: Place) -> None:
        worker = await place.pick()
        for tree in (self._tree, ROOT):
            await worker.terminate()
            worker.tree, worker.command = tree, STREAMPROC
            worker.start()
            await worker.wait_until_ready()
            if tree is not ROOT:
                await asyncio.sleep(place.draw.uniform(2, 4))
