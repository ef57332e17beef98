"""One fault after another under load, and how long each takes to be got over."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from aiokafka.errors import KafkaError

from tests.chaos.asked import Told, Window, outcomes_of, write
from tests.chaos.checks import Checks
from tests.chaos.faults.fault import Fault
from tests.chaos.faults.of_topics import TopicRemade
from tests.chaos.place import READY_WITHIN_S, Place
from tests.chaos.verifier import Verdict, verdict_of
from tests.support.topics import end_offsets, wait_until_committed

FIRST_S = 3
"""How long all is well at first."""
PROBES = 60
"""So many are sent once a fault is over, to every topic-partition; with them the lag is back."""
QUIET_S = 300
"""How long answers that are waited for may stay away before a run is given up."""
PAUSE_S = 0.5, 4.0
"""Between faults."""
OWN_END = 1
"""How a worker ends that can't go on, to be started again by whoever looks after it."""


class Run:
    """windows: of the faults so far; the first is before them"""

    def __init__(self, place: Place, requests: int, a_second: float, *, is_hasty: bool) -> None:
        """requests: are sent at least, a share of them before each fault
        is_hasty: the next fault begins although the one before is not got over
        """
        self._place = place
        self._requests = requests
        self._a_second = a_second
        self._is_hasty = is_hasty
        self._servers = place.kafka.bootstrap_servers
        self._group = place.workers[0].group
        is_once = place.workers[0].settings.get("DELIVERY") == "exactly_once"
        self.checks = Checks(self._servers, self._group, place.sender, place.watch, is_once=is_once)
        self.windows: list[Window] = []

    async def all(self, faults: Sequence[Fault]) -> list[str]:
        """Have all of them happen, and wait until everything is answered and committed.

        Returns why it was given up; empty: it was not.
        """
        failures: list[str] = []
        try:
            await self._all(faults)
        except* (TimeoutError, AssertionError, KafkaError) as failed:
            during = self.windows[-1].fault
            failures = [f"given up in {during}: {one!r}" for one in failed.exceptions]
        return failures

    async def _all(self, faults: Sequence[Fault]) -> None:
        sender = self._place.sender
        share = self._requests / (len(faults) + 1)
        await self._begin("none yet")
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._keep_alive())
            sending = tasks.create_task(sender.run(self._a_second))
            try:
                await asyncio.sleep(FIRST_S)
                for number, fault in enumerate(faults, 1):
                    await sender.reach(int(number * share))
                    await self._one(f"{number}/{len(faults)}", fault)
                    await asyncio.sleep(self._place.draw.uniform(*PAUSE_S))
                await sender.reach(self._requests)
            finally:
                # Of what is on its way when it is cancelled nobody would know where it lies.
                sender.stop()
                await sending
            await self._place.watch.all_of(sender.asked, sender.gone, QUIET_S)
            current = [one for one in sender.asked if one.log == sender.logs[one.topic]]
            positions = [(one.topic, one.partition, one.offset) for one in current]
            await wait_until_committed(self._servers, self._group, positions)
            watching.cancel()
        await self.checks.in_the_end(self.windows[-1])
        for worker in self._place.workers:
            await worker.wait_until_ready(READY_WITHIN_S)
            code = await worker.terminate()
            assert code == 0, f"exit code {code} after SIGTERM: {worker.last_words()}"
        await self.checks.in_the_end(self.windows[-1])

    async def verified(self, file: Path) -> Verdict:
        """What a program that knows nothing of streamproc says. file: what it is told by"""
        sender = self._place.sender
        write(file, Told(list(sender.load.sources), self.windows, sender.asked))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.chaos.verifier", self._servers, str(file)),
            stdout=asyncio.subprocess.PIPE,
        )
        told, _ = await process.communicate()
        assert process.returncode == 0, "the verifier failed"
        return verdict_of(told)

    async def _begin(self, fault: str) -> Window:
        sender = self._place.sender
        ends = await end_offsets(self._servers, *outcomes_of(sender.load.sources))
        told = {f"{tp.topic}:{tp.partition}": end for tp, end in ends.items()}
        self.windows.append(Window(fault, len(sender.asked), told))
        return self.windows[-1]

    async def _one(self, number: str, fault: Fault) -> None:
        place = self._place
        window = await self._begin(fault.name)
        began_s = time.monotonic()
        place.say(f"{number} {fault.name}")
        await fault.act(place)
        over_s = time.monotonic()
        await self.checks.at_once(window)
        if self._is_hasty and not isinstance(fault, TopicRemade):
            await place.watch.first_after(began_s, QUIET_S)
            return
        first = place.watch.first_after(over_s, QUIET_S)
        window.first_answer_s, _ = await asyncio.gather(first, place.sender.send(PROBES))
        behind = place.sender.asked[window.sent :]
        await place.watch.all_of(behind, place.sender.gone, QUIET_S)
        window.lag_back_s = place.watch.last_of(behind) - over_s
        await self.checks.in_the_end(window)
        for worker in place.workers:
            await worker.wait_until_ready(READY_WITHIN_S)
        took = f"took {over_s - began_s:.1f} s"
        place.say(
            f"{number} {fault.name}: {took}; first answer {window.first_answer_s:.1f} s after it,"
            f" lag back {window.lag_back_s:.1f} s after it"
        )

    async def _keep_alive(self) -> None:
        """Start workers again that have ended by themselves, as a supervisor does."""
        while True:
            for worker in self._place.workers:
                if worker.exit_code == OWN_END:
                    self.windows[-1].by_itself += 1
                    self._place.say(f"{worker.log.name} ended by itself: {worker.last_words(500)}")
                    worker.start()
                assert worker.exit_code in {None, 0, OWN_END}, (
                    f"a worker ended with {worker.exit_code}: {worker.last_words()}"
                )
            await asyncio.sleep(0.5)
