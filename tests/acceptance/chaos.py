"""Kill workers at any moment, and see that nothing is lost.

`python -m tests.acceptance.chaos --requests 20000 --workers 2 --kills 20 --terms 5 --seed 1`
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
import typer
from aiokafka import AIOKafkaConsumer, TopicPartition

from .cluster import Cluster, Group, cluster, group
from .report import say, tell
from .texts import short_texts
from .topics import (
    BULK,
    REQUESTS,
    RESPONSES,
    Offsets,
    Position,
    Sent,
    end_offsets,
    producing,
    read_all,
    reader,
    send_all,
    wait_until_committed,
)
from .topics import committed as committed_offsets
from .verifier import Verdict, answered_positions, committed_too_early, verify
from .worker_process import WorkerProcess

AT_ONCE = 200
STANDSTILL_S = 90


@dataclass(frozen=True, slots=True)
class Plan:
    """kills: SIGKILLs; terms: SIGTERMs; each only once answers have come since the one before."""

    requests: int
    workers: int
    kills: int
    terms: int
    seed: int

    @property
    def share(self) -> int:
        """Requests that each act unlocks: the workers can't be through before all acts are."""
        return max(1, self.requests // (self.kills + self.terms + 1))


@dataclass(slots=True)
class Report:
    """What was done, and what came of it.

    too_early:     requests found below a committed offset without a response, over all checks
    drained_exits: exit codes after SIGTERM; all 0 when workers drain in order
    """

    seconds: float = 0.0
    kills: int = 0
    terms: int = 0
    checks: int = 0
    too_early: list[Position] = field(default_factory=list)
    drained_exits: list[int] = field(default_factory=list)
    verdict: Verdict | None = None

    def table(self) -> dict[str, Any]:
        """All of it as figures."""
        assert self.verdict is not None
        return {
            **self.verdict.counts(),
            "committed_too_early": len(self.too_early),
            "checks": self.checks,
            "kills": self.kills,
            "terms": self.terms,
            "exits_after_sigterm": self.drained_exits,
            "seconds": round(self.seconds, 1),
        }

    @property
    def good(self) -> bool:
        """Nothing lost, nothing wrong, nothing committed too early, every SIGTERM drained."""
        verdict = self.verdict
        return (
            verdict is not None
            and not (verdict.lost or verdict.wrong or verdict.not_ok or self.too_early)
            and not any(self.drained_exits)
        )


Say = Callable[[str], None]


async def run_chaos(kafka: Cluster, plan: Plan, say: Say = lambda _: None) -> Report:
    """Send the requests, act as planned, wait until all is committed, and have it verified."""
    report, began = Report(), time.monotonic()
    ids = [f"chaos-{plan.seed}-{number}" for number in range(plan.requests)]
    responses_start = await end_offsets(kafka.bootstrap_servers, RESPONSES)
    async with (
        group(
            kafka.bootstrap_servers,
            f"chaos-{plan.seed}",
            kafka.folder,
            workers=plan.workers,
            settings={"THREADS": "1"},
        ) as workers,
        reader(kafka.bootstrap_servers, [RESPONSES]) as responses,
    ):
        progress = Progress(responses, responses_start)
        chaos = _Chaos(kafka.bootstrap_servers, workers, responses_start, plan, report, say)
        sending = asyncio.create_task(_send(kafka.bootstrap_servers, ids, chaos.unlocked))
        try:
            await chaos.act(progress)
            positions = await sending
        finally:
            sending.cancel()
        say("all acts done; waiting for the rest")
        await wait_until_committed(kafka.bootstrap_servers, workers.workers[0].group, positions)
        await chaos.check()
        for worker in workers.workers:
            # One that is killed while Python still starts dies of the signal, having taken nothing.
            await worker.wait_until_ready()
        report.drained_exits += [await worker.terminate() for worker in workers.workers]
        await chaos.check()
    report.verdict = await verify(kafka.bootstrap_servers, ids, responses_start)
    report.seconds = time.monotonic() - began
    return report


class Progress:
    """How many responses have been stored since the start."""

    def __init__(self, responses: AIOKafkaConsumer, start: Offsets) -> None:
        self._responses = responses
        self._start = sum(start.values())

    async def count(self) -> int:
        ends = await self._responses.end_offsets(self._responses.assignment())
        return int(sum(ends.values())) - self._start

    async def reach(self, count: int) -> int:
        """Returns once so many are stored; raises TimeoutError when they have stopped coming."""
        last, moved_at = -1, time.monotonic()
        while (now := await self.count()) < count:
            if now > last:
                last, moved_at = now, time.monotonic()
            if time.monotonic() - moved_at > STANDSTILL_S:
                raise TimeoutError(f"{now} responses, and none for {STANDSTILL_S} s")
            await asyncio.sleep(0.1)
        return now


class _Chaos:
    def __init__(
        self,
        bootstrap_servers: str,
        workers: Group,
        responses_start: Offsets,
        plan: Plan,
        report: Report,
        say: Say,
    ) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._group = workers
        self._plan = plan
        self._report = report
        self._say = say
        self._done = False
        self._draw = random.Random(plan.seed)
        self._answered: set[Position] = set()
        self._read_to = dict(responses_start)

    def unlocked(self) -> int:
        """How many requests may have been sent by now: a share for each act, and one ahead."""
        acts = self._report.kills + self._report.terms
        return self._plan.requests if self._done else (acts + 2) * self._plan.share

    async def act(self, progress: Progress) -> None:
        plan, draw = self._plan, self._draw
        acts = [True] * plan.kills + [False] * plan.terms
        draw.shuffle(acts)
        seen = 0
        for number, kill in enumerate(acts, 1):
            seen = await progress.reach(seen + max(1, int(draw.uniform(0.05, 0.9) * plan.share)))
            worker = await self._pick()
            what = "SIGKILL" if kill else "SIGTERM"
            self._say(f"{number}/{len(acts)} {what} to {worker.pid} after {seen} responses")
            if kill:
                worker.kill()
                self._report.kills += 1
            else:
                self._report.drained_exits.append(await worker.terminate())
                self._report.terms += 1
            await self.check()
            seen = await progress.count()
            worker.start()
        self._done = True

    async def _pick(self) -> WorkerProcess:
        """One that works, if any does: the end of one that is only starting shows little."""
        workers = self._group.workers
        for worker in workers:
            assert worker.exit_code is None, f"{worker.log} ended by itself: {worker.exit_code}"
        working = [worker for worker in workers if await worker.is_ready()]
        return self._draw.choice(working or workers)

    async def check(self) -> None:
        """Every request below a committed offset has its response stored."""
        found = await committed_offsets(self._bootstrap_servers, self._group.workers[0].group)
        stored = await read_all(self._bootstrap_servers, [RESPONSES], self._read_to)
        for response in stored:
            topic, partition, offset = response.position
            self._read_to[TopicPartition(topic, partition)] = offset + 1
        self._answered |= answered_positions(stored)
        self._report.checks += 1
        self._report.too_early += committed_too_early(found, self._group.start, self._answered)


async def _send(
    bootstrap_servers: str, ids: list[str], unlocked: Callable[[], int]
) -> list[Position]:
    """Every fourth request on the bulk lane; never more than are unlocked."""
    texts = short_texts(len(ids))
    records = [
        Sent(
            orjson.dumps({"id": name, "text": text}),
            topic=BULK if number % 4 == 3 else REQUESTS,
            key=name.encode(),
        )
        for number, (name, text) in enumerate(zip(ids, texts, strict=True))
    ]
    positions: list[Position] = []
    async with producing(bootstrap_servers) as producer:
        while len(positions) < len(records):
            first = len(positions)
            last = min(first + AT_ONCE, unlocked())
            positions += await send_all(producer, records[first:last])
            await asyncio.sleep(0.02)
    return positions


def main(
    requests: int = 20_000, workers: int = 2, kills: int = 20, terms: int = 5, seed: int = 1
) -> None:
    """SIGKILL and SIGTERM workers under load; exit with 1 when anything is lost."""
    plan = Plan(requests, workers, kills, terms, seed)

    async def run() -> Report:
        async with cluster() as kafka:
            return await run_chaos(kafka, plan, say)

    report = asyncio.run(run())
    tell(f"{requests} requests, {kills} SIGKILL, {terms} SIGTERM", report.table(), report.good)


if __name__ == "__main__":
    typer.run(main)
