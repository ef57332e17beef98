"""The same requests in other orders and other company: the same answers to the byte, in each task.

`python -m tests.acceptance.ordering --requests 500`
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from streamproc.kafka.topics import load_topics
from streamproc.repository.repository import Repository
from streamproc.settings import read_settings
from streamproc.worker import served_tasks
from tests.support.cluster import cluster, group
from tests.support.command import streamproc
from tests.support.good_requests import requests_of
from tests.support.report import tell
from tests.support.texts import short_texts

Request = dict[str, Any]
"""The fields of a request, all but its id."""

Results = dict[str, bytes]
"""The `result` of each request as JSON, by id."""

# One at a time, a few in small batches, and all at once in large ones.
LOADS: tuple[tuple[str, ...], ...] = (
    ("--outstanding", "1", "--threads", "1"),
    ("--outstanding", "16", "--batch-budget-tokens", "128"),
    ("--outstanding", "100000", "--batch-budget-tokens", "4096"),
)


def results_of_runs(task: str, requests: Sequence[Request], folder: Path) -> dict[str, Results]:
    """The results of `streamproc run` in three orders and loads."""
    found = {}
    for number, load in enumerate(LOADS):
        file = _written(requests, number, folder)
        answers = folder / f"answers-{number}.jsonl"
        found[" ".join(load)] = _asked("run", file, answers, "--task", task, *load)
    return found


def results_through_kafka(
    task: str, requests: Sequence[Request], folder: Path, settings: Mapping[str, str]
) -> Results:
    """The results of `streamproc submit`, in an order of its own; a worker must be running."""
    file, options = _written(requests, len(LOADS), folder), ("--task", task, "--lane", "bulk")
    return _asked("submit", file, folder / "kafka.jsonl", *options, settings=settings)


def differing(found: Mapping[str, Results]) -> list[str]:
    """The ids whose results are not the same everywhere."""
    runs = list(found.values())
    return sorted(name for name in runs[0] if len({run.get(name) for run in runs}) > 1)


def _written(requests: Sequence[Request], order: int, folder: Path) -> Path:
    rows = [{"id": f"r{number}", **fields} for number, fields in enumerate(requests)]
    if order == 1:
        rows.reverse()
    elif order > 1:
        random.Random(order).shuffle(rows)
    file = folder / f"requests-{order}.jsonl"
    file.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return file


def _asked(
    command: str,
    file: Path,
    answers: Path,
    *options: str,
    settings: Mapping[str, str] | None = None,
) -> Results:
    done = streamproc(command, file, "--output", answers, *options, settings=settings)
    assert done.returncode == 0, done.stderr
    rows = [orjson.loads(line) for line in answers.read_bytes().splitlines()]
    return {row["id"]: orjson.dumps(row["result"]) for row in rows}


def main(
    requests: int = 500,
    tasks: Annotated[list[str] | None, typer.Option(help="default: all that can be served")] = None,
) -> None:
    """Ask the same of each task in three orders and loads, and once through Kafka."""
    settings = read_settings()
    catalogue = load_topics(settings.topics_dir)
    chosen = tasks or served_tasks(catalogue, Repository(settings.models_dir))
    texts = short_texts(requests)
    asked = {task: requests_of(task, texts) for task in chosen}

    async def through_kafka(folder: Path) -> dict[str, Results]:
        async with (
            cluster() as kafka,
            group(kafka.bootstrap_servers, "order", kafka.folder, tasks=chosen),
        ):
            there = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}
            return {
                task: await asyncio.to_thread(results_through_kafka, task, own, folder, there)
                for task, own in asked.items()
            }

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = {task: results_of_runs(task, own, folder) for task, own in asked.items()}
        for task, results in asyncio.run(through_kafka(folder)).items():
            found[task]["through Kafka"] = results
    different = {task: differing(runs) for task, runs in found.items()}
    figures = {"requests of each task": requests, "runs": list(found[chosen[0]])}
    figures |= {f"different, {task}": ids for task, ids in different.items()}
    tell("the same requests in other orders and loads", figures, not any(different.values()))


if __name__ == "__main__":
    typer.run(main)
