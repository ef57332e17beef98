"""Kill workers at any moment, and see that nothing is lost.

`python -m tests.acceptance.chaos --requests 20000 --workers 2 --kills 20 --terms 5 --pauses 5`
sends requests of every task that has an ensemble, mixed; `--tasks text-classification` of that
alone; `--small` lets small graphs made by hand answer for the tasks that have no ensemble;
`--delivery exactly_once` demands that nothing is there twice either.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import typer
from aiokafka import AIOKafkaConsumer, TopicPartition

from streamproc.kafka.background import beside
from streamproc.kafka.finished_offsets import found_beside
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
    committed_positions,
    end_offsets,
    producing,
    read_all,
    reader,
    send_all,
    wait_until_committed,
)
from tests.support.topics import committed as committed_offsets
from tests.support.verifier import committed_too_early, twice_by_cause, verify
from tests.support.worker_process import WorkerProcess

AT_ONCE = 200
STANDSTILL_S = 90
# Longer than the session of the workers' processes.
PAUSE_S = 10
LATE_MARKERS_S = 30


Say = Callable[[str], None]


async def run_chaos(kafka: Cluster, of: Served, plan: Plan, say: Say = lambda _: None) -> Report:
    """Send requests of the tasks, act as planned, wait until all is committed, and have it
    verified."""
    report, began = Report(is_once=plan.is_once), time.monotonic()
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
            settings={**plan.settings, **of.settings},
        ) as workers,
        reader(kafka.bootstrap_servers, responses_topics) as responses,
    ):
        progress = Progress(responses, responses_start)
        if plan.is_once:
            progress = CommittedProgress(kafka.bootstrap_servers, workers)
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
        async with beside(chaos.keep_alive()):
            await wait_until_committed(kafka.bootstrap_servers, workers.workers[0].group, positions)
        await chaos.check()
        for worker in workers.workers:
            # One that is killed while Python still starts dies of the signal, having taken nothing.
            await worker.wait_until_ready()
        report.drained_exits += [await worker.terminate() for worker in workers.workers]
        await chaos.check()
    report.twice = chaos.twice_by_cause()
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


class CommittedProgress(Progress):
    """How many requests are committed since the start: ends of topics count transactions too."""

    def __init__(self, bootstrap_servers: str, workers: Group) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._group = workers

    async def count(self) -> int:
        found = await committed_offsets(self._bootstrap_servers, self._group.workers[0].group)
        return sum(max(0, end - self._group.start.get(tp, 0)) for tp, end in found.items())


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
        self._times = Counter[Position]()
        self._seen: list[tuple[Offsets, set[Position]]] = []
        self._read_to = dict(responses_start)

    def unlocked(self) -> int:
        """How many requests may have been sent by now: a share for each act, and one ahead."""
        acts = self._report.kills + self._report.terms + self._report.pauses
        return self._plan.requests if self._done else (acts + 2) * self._plan.share

    async def act(self, progress: Progress) -> None:
        """Every act of the plan, each some answers after the one before."""
        plan, draw = self._plan, self._draw
        acts = ["SIGKILL"] * plan.kills + ["SIGTERM"] * plan.terms + ["SIGSTOP"] * plan.pauses
        draw.shuffle(acts)
        seen = 0
        for number, what in enumerate(acts, 1):
            seen = await progress.reach(seen + max(1, int(draw.uniform(0.05, 0.9) * plan.share)))
            worker = await self._pick()
            self._say(f"{number}/{len(acts)} {what} to {worker.pid} after {seen} responses")
            if what == "SIGKILL":
                worker.kill()
                self._report.kills += 1
            elif what == "SIGTERM":
                self._report.drained_exits.append(await worker.terminate())
                self._report.terms += 1
            else:
                await worker.pause(PAUSE_S)
                self._report.pauses += 1
            await self.check()
            seen = await progress.count()
            if what != "SIGSTOP":
                worker.start()
        self._done = True

    async def keep_alive(self) -> None:
        """Start workers again that have ended by themselves, until cancelled."""
        while True:
            self._revive()
            await asyncio.sleep(1)

    def _revive(self) -> None:
        for worker in self._group.workers:
            if self._plan.is_once and worker.exit_code == 1:
                self._report.own_ends += 1
                self._say(f"{worker.pid} ended by itself: {worker.last_words(400)}")
                worker.start()
            assert worker.exit_code is None, (
                f"a worker ended by itself ({worker.exit_code}): {worker.last_words()}"
            )

    async def _pick(self) -> WorkerProcess:
        """One that works, if any does: the end of one that is only starting shows little."""
        self._revive()
        workers = self._group.workers
        working = [worker for worker in workers if await worker.is_ready()]
        return self._draw.choice(working or workers)

    async def check(self) -> None:
        """Every request below a committed offset has its response stored."""
        positions = await committed_positions(self._bootstrap_servers, self._group.workers[0].group)
        found = {tp: at.offset for tp, at in positions.items()}
        until_s = time.monotonic() + (LATE_MARKERS_S if self._plan.is_once else 0)
        while too_early := committed_too_early(found, self._group.start, await self._answers()):
            # An offset can be read of a transaction before its answers can, and those lie behind
            # whatever a killed worker has left open, until it is taken over.
            if time.monotonic() >= until_s:
                break
            await asyncio.sleep(0.5)
        self._report.checks += 1
        self._report.too_early += too_early
        above = {tp: found_beside(at.metadata, at.offset) for tp, at in positions.items()}
        uncommitted = {
            (topic, partition, offset)
            for topic, partition, offset in self._times
            if offset >= found.get(TopicPartition(topic, partition), 0)
            and offset not in above.get(TopicPartition(topic, partition), ())
        }
        self._seen.append((found, uncommitted))

    def twice_by_cause(self) -> dict[str, int]:
        """Requests that were answered more than once, by what the group had committed of them."""
        return twice_by_cause(self._times, self._seen)

    async def _answers(self) -> set[Position]:
        """Where the requests lie whose responses are stored by now."""
        topics = {tp.topic for tp in self._read_to}
        stored = await read_all(self._bootstrap_servers, topics, self._read_to)
        for response in stored:
            topic, partition, offset = response.position
            self._read_to[TopicPartition(topic, partition)] = offset + 1
        self._times.update(response.origin for response in stored)
        return set(self._times)


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
    pauses: int = 0,
    delivery: str = "at_least_once",
) -> None:
    """Kill and terminate workers under load; exit with 1 when anything was lost."""
    plan = Plan(requests, workers, kills, terms, seed, pauses, delivery == "exactly_once")

    async def run(of: Served) -> Report:
        async with cluster() as kafka:
            return await run_chaos(kafka, of, plan, say)

    with served(tasks, models_dir, small=small) as of:
        say(f"{', '.join(of.tasks)} from {of.models_dir}")
        report = asyncio.run(run(of))
    acts = f"{kills} SIGKILL, {terms} SIGTERM, {pauses} SIGSTOP"
    tell(f"{requests} requests, {acts}, {delivery}", report.table(), report.good)


if __name__ == "__main__":
    typer.run(main)
