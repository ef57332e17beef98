"""Workers that end, stand still, or are of another version."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.chaos.place import SESSION_S, Place
from tests.support.worker_process import WorkerProcess


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
        """tree: of the older code, with the topics that it knows"""
        self._tree = tree

    async def act(self, place: Place) -> None:
        worker = await place.pick()
        tree, topics = worker.tree, worker.settings["TOPICS_DIR"]
        await _exchange(worker, self._tree, str(self._tree / "topics"))
        await asyncio.sleep(place.draw.uniform(3, 6))
        await _exchange(worker, tree, topics)


async def _exchange(worker: WorkerProcess, tree: Path, topics: str) -> None:
    await worker.terminate()
    worker.tree = tree
    worker.settings["TOPICS_DIR"] = topics
    worker.start()
    await worker.wait_until_ready()
