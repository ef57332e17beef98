"""Hostile records among good ones: each ends as the table of outcomes says, and nothing else does.

`python -m tests.acceptance.hostile --good 2000 --bad 2000` sends them to every task that has an
ensemble; `--tasks` names some of them, and with `--small` small graphs made by hand stand in for
ensembles that are not there.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from tests.support.cluster import cluster, group
from tests.support.good_requests import Asked, mixed_requests
from tests.support.hostile_kind import Hostile
from tests.support.hostile_outcomes import bad_outcome, good_outcome
from tests.support.hostile_records import hostile_records
from tests.support.report import say, tell
from tests.support.served import Served, served
from tests.support.task_topics import task_of, topics_of
from tests.support.topics import (
    Position,
    Sent,
    Stored,
    end_offsets,
    read_all,
    send,
    wait_until_committed,
)
from tests.support.worker_process import WorkerProcess

BULK_EVERY = 3
"""So many hostile records of a task, and the last of them goes on the bulk lane."""


async def run_hostile(
    bootstrap_servers: str,
    worker: WorkerProcess,
    tasks: Sequence[str],
    good: int,
    bad: int,
    seed: int = 1,
) -> dict[str, Any]:
    """Send both kinds mixed, wait, and compare; `faults` lists what is not as expected.

    worker: ready, and the only one that takes these tasks' topics
    good, bad: how many, of all tasks together
    """
    records = _records(tasks, good, bad, seed)
    outcomes = [topic for task in tasks for topic in topics_of(task).outcomes]
    start = await end_offsets(bootstrap_servers, *outcomes)
    pid = worker.pid
    positions = await send(bootstrap_servers, [sent for _, sent in records])
    await wait_until_committed(bootstrap_servers, worker.group, positions)
    stored = await read_all(bootstrap_servers, outcomes, start)
    found = _by_origin(stored)
    faults, kinds = [], defaultdict[str, set[str]](set)
    figures = {task: Counter(good=0, bad=0, kinds=0, faults=0) for task in tasks}
    for (record, request), position in zip(records, positions, strict=True):
        task = task_of(request.topic)
        told, given_up = (found.pop((topic, position), []) for topic in topics_of(task).outcomes)
        if isinstance(record, Hostile):
            wrong = bad_outcome(record, request, position, told, given_up)
            kind = record.kind
            kinds[task].add(kind)
        else:
            wrong = good_outcome(record, told, given_up)
            kind = "good"
        faults += [f"{kind} at {position}: {fault}" for fault in wrong]
        figures[task].update({"good" if kind == "good" else "bad": 1, "faults": len(wrong)})
    faults += [f"{len(found)} responses or dead letters to nothing that was sent"] * bool(found)
    if worker.exit_code is not None or worker.pid != pid or not await worker.is_ready():
        faults.append(f"the worker ended or is not ready: {worker.exit_code}, {worker.health()}")
    for task in tasks:
        figures[task]["kinds"] = len(kinds[task])
    return {
        "good": good,
        "bad": bad,
        "kinds": sum(map(len, kinds.values())),
        "worker": pid,
        "faults": faults,
        "tasks": figures,
    }


def _records(
    tasks: Sequence[str], good: int, bad: int, seed: int
) -> list[tuple[Hostile | Asked, Sent]]:
    """All of them in an order of chance, each with what is sent."""
    records: list[tuple[Hostile | Asked, Sent]] = [
        (asked, asked.record) for asked in mixed_requests(tasks, good, f"good-{seed}")
    ]
    for number, (task, hostile) in enumerate(hostile_records(bad, seed, tasks)):
        topics = topics_of(task)
        topic = topics.bulk if number % BULK_EVERY == BULK_EVERY - 1 else topics.requests
        records.append((hostile, Sent(hostile.value, topic, hostile.headers, hostile.key)))
    random.Random(seed).shuffle(records)
    return records


def _by_origin(stored: Sequence[Stored]) -> dict[tuple[str, Position], list[Stored]]:
    """What lies in a topic about the request at a position."""
    found: dict[tuple[str, Position], list[Stored]] = defaultdict(list)
    for record in stored:
        found[record.position[0], record.origin].append(record)
    return found


async def run_hostile_alone(of: Served, good: int, bad: int, seed: int = 1) -> dict[str, Any]:
    """`run_hostile` on a Kafka and a worker of its own."""
    async with (
        cluster() as kafka,
        group(
            kafka.bootstrap_servers, "hostile", kafka.folder, tasks=of.tasks, settings=of.settings
        ) as workers,
    ):
        worker = workers.workers[0]
        return await run_hostile(kafka.bootstrap_servers, worker, of.tasks, good, bad, seed)


def main(
    good: int = 2000,
    bad: int = 2000,
    seed: int = 1,
    tasks: str = "",
    models_dir: Path | None = None,
    small: bool = False,
) -> None:
    """Send hostile records among good ones; exit with 1 when one ends otherwise than it should."""
    with served(tasks, models_dir, small=small) as of:
        say(f"{', '.join(of.tasks)} from {of.models_dir}")
        found = asyncio.run(run_hostile_alone(of, good, bad, seed))
    tell("hostile records among good ones", found, not found["faults"])


if __name__ == "__main__":
    typer.run(main)
