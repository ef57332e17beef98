"""Kill workers at any moment, and see that nothing is lost.

`python -m tests.acceptance.chaos --requests 20000 --workers 2 --kills 20 --terms 5 --seed 1`
sends requests of every task that has an ensemble, mixed; `--tasks text-classification` of that
alone; `--small` lets small graphs made by hand answer for the tasks that have no ensemble.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import typer
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.support.chaos_report import Plan, Report
from tests.support.cluster import Cluster, Group, cluster, group
from tests.support.good_requests import ids_by_topic, mixed_requests
from tests.support.report import say, tell
from tests.support.served import Served, served
from tests.support.task_topics import topics_of
from tests.support.topics import (
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
from tests.support.topics import committed as committed_offsets
from tests.support.verifier import answered_positions, committed_too_early, verify
from tests.support.worker_process import WorkerProcess

AT_ONCE = 200
STANDSTILL_S = 90


Say = Callable[[str], None]


async def run_chaos(kafka: Cluster, of: Served, plan: Plan, say: Say = lambda _: None) -> Report:
    """Send requests of the tasks, act as planned, wait until all is committed, and have it
    verified."""
    report, began = Report(), time.monotonic()
    asked = mixed_requests(of.tasks, plan.requests, f"chaos-{plan.seed}")
    records = [request.record for request in asked]
    responses_topics = [topics_of(task).responses for task in of.tasks]
    responses_start = await end_offsets(kafka.bootstrap_servers, *responses_topics)
    async with (
        group(
            kafka.bootstrap_servers,
            f"chaos-{plan.seed}",
            kafka.folder,
            workers=plan.workers,
            tasks=of.tasks,
            settings={"THREADS": "1", **of.settings},
        ) as workers,
        reader(kafka.bootstrap_servers, responses_topics) as responses,
    ):
        progress = Progress(responses, responses_start)
        chaos = Chaos(kafka.bootstrap_servers, workers, responses_start, plan, report, say)
        sending = asyncio.create_task(
            send_unlocked(kafka.bootstrap_servers, records, chaos.unlocked)
        )
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
    report.verdicts = await verify(kafka.bootstrap_servers, ids_by_topic(asked), responses_start)
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


class Chaos:
    """Ends workers at random moments, and looks each time whether a commit was too early."""

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
        """Every act of the plan, each some answers after the one before."""
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
            assert worker.exit_code is None, (
                f"a worker ended by itself ({worker.exit_code}): {worker.last_words()}"
            )
        working = [worker for worker in workers if await worker.is_ready()]
        return self._draw.choice(working or workers)

    async def check(self) -> None:
        """Every request below a committed offset has its response stored."""
        found = await committed_offsets(self._bootstrap_servers, self._group.workers[0].group)
        topics = {tp.topic for tp in self._read_to}
        stored = await read_all(self._bootstrap_servers, topics, self._read_to)
        for response in stored:
            topic, partition, offset = response.position
            self._read_to[TopicPartition(topic, partition)] = offset + 1
        self._answered |= answered_positions(stored)
        self._report.checks += 1
        self._report.too_early += committed_too_early(found, self._group.start, self._answered)


async def send_unlocked(
    bootstrap_servers: str, records: Sequence[Sent], unlocked: Callable[[], int]
) -> list[Position]:
    """All of them in order; never more than are unlocked."""
    positions: list[Position] = []
    async with producing(bootstrap_servers) as producer:
        while len(positions) < len(records):
            first = len(positions)
            last = min(first + AT_ONCE, unlocked())
            positions += await send_all(producer, records[first:last])
            await asyncio.sleep(0.02)
    return positions


def main(
    requests: int = 20_000,
    workers: int = 2,
    kills: int = 20,
    terms: int = 5,
    seed: int = 1,
    tasks: str = "",
    models_dir: Path | None = None,
    small: bool = False,
) -> None:
    """Kill and terminate workers under load; exit with 1 when anything was lost."""
    plan = Plan(requests, workers, kills, terms, seed)

    async def run(of: Served) -> Report:
        async with cluster() as kafka:
            return await run_chaos(kafka, of, plan, say)

    with served(tasks, models_dir, small=small) as of:
        say(f"{', '.join(of.tasks)} from {of.models_dir}")
        report = asyncio.run(run(of))
    tell(f"{requests} requests, {kills} SIGKILL, {terms} SIGTERM", report.table(), report.good)


if __name__ == "__main__":
    typer.run(main)
