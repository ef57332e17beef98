"""The same requests in other orders and other company: the same answers to the byte.

`python -m tests.acceptance.ordering --requests 500`
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson
import typer

from .cluster import cluster, group
from .command import streamproc
from .report import tell
from .texts import review_texts

Results = dict[str, bytes]
"""The `result` of each request as JSON, by id."""

# One at a time, a few in small batches, and all at once in large ones.
LOADS: tuple[tuple[str, ...], ...] = (
    ("--outstanding", "1", "--threads", "1"),
    ("--outstanding", "16", "--batch-budget-tokens", "128"),
    ("--outstanding", "100000", "--batch-budget-tokens", "4096"),
)


def results_of_runs(texts: Sequence[str], folder: Path) -> dict[str, Results]:
    """The results of `streamproc run` in three orders and loads."""
    found = {}
    for number, load in enumerate(LOADS):
        file = _written(texts, number, folder)
        answers = folder / f"answers-{number}.jsonl"
        found[" ".join(load)] = _asked("run", file, answers, *load)
    return found


def results_through_kafka(
    texts: Sequence[str], folder: Path, settings: Mapping[str, str], lane: str = "bulk"
) -> Results:
    """The results of `streamproc submit`, in an order of its own; a worker must be running."""
    file = _written(texts, len(LOADS), folder)
    return _asked("submit", file, folder / "kafka.jsonl", "--lane", lane, settings=settings)


def differing(found: Mapping[str, Results]) -> list[str]:
    """The ids whose results are not the same everywhere."""
    runs = list(found.values())
    return sorted(name for name in runs[0] if len({run.get(name) for run in runs}) > 1)


def _written(texts: Sequence[str], order: int, folder: Path) -> Path:
    rows = [{"id": f"r{number}", "text": text} for number, text in enumerate(texts)]
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


def main(requests: int = 500) -> None:
    """Ask the same real reviews in three orders and loads, and once through Kafka."""

    async def through_kafka(folder: Path) -> Results:
        async with cluster() as kafka, group(kafka.bootstrap_servers, "order", kafka.folder):
            settings = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}
            return await asyncio.to_thread(results_through_kafka, texts, folder, settings)

    texts = review_texts(requests)
    with tempfile.TemporaryDirectory() as name:
        found = results_of_runs(texts, Path(name))
        found["through Kafka"] = asyncio.run(through_kafka(Path(name)))
    different = differing(found)
    figures = {"requests": requests, "runs": list(found), "different": different}
    tell("the same requests in other orders and loads", figures, not different)


if __name__ == "__main__":
    typer.run(main)
