"""Hostile records among good ones: each ends as the table of outcomes says, and nothing else does.

`python -m tests.acceptance.hostile --good 2000 --bad 2000`
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import orjson
import typer

from .cluster import cluster, group
from .hostile_records import Hostile, hostile_records
from .report import tell
from .texts import short_texts
from .topics import (
    BULK,
    DEAD_LETTERS,
    REQUESTS,
    RESPONSES,
    Position,
    Sent,
    Stored,
    end_offsets,
    read_all,
    send,
    wait_until_committed,
)
from .worker_process import WorkerProcess

ERROR_HEADERS = ("streamproc-error-", "streamproc-request-")


async def run_hostile(
    bootstrap_servers: str, worker: WorkerProcess, good: int, bad: int, seed: int = 1
) -> dict[str, Any]:
    """Send both kinds mixed, wait, and compare; `faults` lists what is not as expected.

    worker: ready, and the only one that takes these topics
    """
    records: list[Hostile | str] = [*hostile_records(bad, seed), *short_texts(good)]
    random.Random(seed).shuffle(records)
    start = await end_offsets(bootstrap_servers, RESPONSES, DEAD_LETTERS)
    pid = worker.pid
    sent = [
        _sent(record, f"good-{seed}-{number}", BULK if number % 3 == 0 else REQUESTS)
        for number, record in enumerate(records)
    ]
    positions = await send(bootstrap_servers, sent)
    await wait_until_committed(bootstrap_servers, worker.group, positions)
    stored = await read_all(bootstrap_servers, [RESPONSES, DEAD_LETTERS], start)
    responses, letters = _by_origin(stored, RESPONSES), _by_origin(stored, DEAD_LETTERS)
    faults = []
    for record, request, position in zip(records, sent, positions, strict=True):
        told, given_up = responses.pop(position, []), letters.pop(position, [])
        wrong = (
            _bad_outcome(record, request, position, told, given_up)
            if isinstance(record, Hostile)
            else _good_outcome(request, told, given_up)
        )
        faults += [
            f"{record.kind if isinstance(record, Hostile) else 'good'} at {position}: {fault}"
            for fault in wrong
        ]
    strangers = len(responses) + len(letters)
    faults += [f"{strangers} responses or dead letters to nothing that was sent"] * (strangers > 0)
    if worker.exit_code is not None or worker.pid != pid or not await worker.is_ready():
        faults.append(f"the worker ended or is not ready: {worker.exit_code}, {worker.health()}")
    kinds = {record.kind for record in records if isinstance(record, Hostile)}
    return {"good": good, "bad": bad, "kinds": len(kinds), "worker": pid, "faults": faults}


def _sent(record: Hostile | str, name: str, topic: str) -> Sent:
    if isinstance(record, Hostile):
        return Sent(record.value, topic, record.headers, record.key)
    return Sent(orjson.dumps({"id": name, "text": record}), topic, key=name.encode())


def _good_outcome(request: Sent, told: Sequence[Stored], letters: Sequence[Stored]) -> list[str]:
    faults = ["it was dead-lettered"] * bool(letters)
    if len(told) != 1:
        return [*faults, f"{len(told)} responses"]
    body = told[0].body
    if body["status"] != "ok" or body["id"] != orjson.loads(request.value or b"")["id"]:
        faults.append(f"answered {body['status']} to {body['id']}")
    return faults


def _bad_outcome(
    record: Hostile,
    request: Sent,
    position: Position,
    told: Sequence[Stored],
    letters: Sequence[Stored],
) -> list[str]:
    faults = []
    if len(told) != (record.answered_to is not None):
        faults.append(f"{len(told)} responses")
    for response in told:
        body = _unwrapped(response)
        wanted = record.answered_to or ":".join(map(str, position))
        found = (body["status"], body["id"], body.get("error", {}).get("type"))
        if found != ("error", wanted, record.error):
            faults.append(f"answered {found}, expected {('error', wanted, record.error)}")
        if response.key != request.key:
            faults.append("the response has another key")
    if len(letters) != 1:
        return [*faults, f"{len(letters)} dead letters"]
    letter = letters[0]
    kept = {
        name: value for name, value in letter.headers.items() if not name.startswith(ERROR_HEADERS)
    }
    if (letter.key, letter.value, kept) != (request.key, request.value, dict(request.headers)):
        faults.append("the dead letter is not the original")
    if letter.headers["streamproc-error-type"] != record.error.encode():
        faults.append(f"dead letter of type {letter.headers['streamproc-error-type']!r}")
    return faults


def _unwrapped(response: Stored) -> dict[str, Any]:
    """A response to a structured CloudEvent is one too."""
    body = response.body
    return dict(body["data"]) if "specversion" in body else body


def _by_origin(stored: Sequence[Stored], topic: str) -> dict[Position, list[Stored]]:
    found: dict[Position, list[Stored]] = defaultdict(list)
    for record in stored:
        if record.position[0] == topic:
            found[record.origin].append(record)
    return found


def main(good: int = 2000, bad: int = 2000, seed: int = 1) -> None:
    """Send hostile records among good ones; exit with 1 when one ends otherwise than it should."""

    async def run() -> dict[str, Any]:
        async with (
            cluster() as kafka,
            group(kafka.bootstrap_servers, "hostile", kafka.folder) as workers,
        ):
            return await run_hostile(kafka.bootstrap_servers, workers.workers[0], good, bad, seed)

    found = asyncio.run(run())
    tell("hostile records among good ones", found, not found["faults"])


if __name__ == "__main__":
    typer.run(main)
