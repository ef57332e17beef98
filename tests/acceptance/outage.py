"""The broker goes away under load and comes back: all is answered, and health says so meanwhile.

`python -m tests.acceptance.outage --seconds 30`
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from typing import Any

import orjson
import typer

from tests.chaos.asked import Asked, Told, Window, sources_of
from tests.chaos.verifier import verify
from tests.support.cluster import Cluster, cluster, group
from tests.support.report import tell
from tests.support.texts import short_texts
from tests.support.topics import (
    TEXT_CLASSIFICATION,
    Position,
    Sent,
    producing,
    send_all,
    wait_until_committed,
)
from tests.support.worker_process import WorkerProcess

SLICES_A_SECOND = 10
SILENT_S = 60


@dataclass(frozen=True, slots=True)
class Outage:
    """What was seen.

    said_so_s:  from the broker's end to the first `ready: false`; None: it never was
    ready_after_s: from the broker's answering again to `ready: true`
    wrong: answers that are not as they should be, or not where
    log_lines: that the worker wrote while the broker was away
    """

    seconds: float
    asked: int
    lost: int
    twice: int
    wrong: int
    said_so_s: float | None
    reasons: list[str]
    ready_after_s: float
    same_worker: bool
    log_lines: int

    @property
    def good(self) -> bool:
        """Nothing lost, and told about."""
        return not self.lost and not self.wrong and self.said_so_s is not None and self.same_worker


async def run_outage(kafka: Cluster, seconds: float, a_second: int, before_s: float = 3) -> Outage:
    """Send `a_second` requests each second, before, during and after; verify in the end.

    kafka: of this run alone
    """
    count = int((seconds + 2 * before_s) * a_second)
    ids = [f"outage-{number}" for number in range(count)]
    async with group(kafka.bootstrap_servers, "outage", kafka.folder) as workers:
        worker = workers.workers[0]
        pid = worker.pid
        sending = asyncio.create_task(_send(kafka.bootstrap_servers, ids, a_second))
        try:
            await asyncio.sleep(before_s)
            await asyncio.to_thread(kafka.broker.stop)
            lines_before = _lines(worker)
            said_so_s, reasons = await _watch(worker, seconds)
            log_lines = _lines(worker) - lines_before
            await asyncio.to_thread(kafka.broker.start)
            back_at = time.monotonic()
            await worker.wait_until_ready()
            ready_after_s = time.monotonic() - back_at
            positions = await sending
        finally:
            sending.cancel()
        await wait_until_committed(kafka.bootstrap_servers, worker.group, positions)
        same_worker = worker.exit_code is None and worker.pid == pid
    asked = [Asked(name, name, *position) for name, position in zip(ids, positions, strict=True)]
    told = Told(sources_of([TEXT_CLASSIFICATION]), [Window("outage", 0, {})], asked)
    (found,) = (await verify(kafka.bootstrap_servers, told)).rows
    return Outage(
        seconds,
        count,
        found.lost,
        found.twice,
        found.wrong + found.misplaced,
        said_so_s,
        reasons,
        round(ready_after_s, 1),
        same_worker,
        log_lines,
    )


def _lines(worker: WorkerProcess) -> int:
    return worker.log.read_bytes().count(b"\n")


async def _watch(worker: WorkerProcess, seconds: float) -> tuple[float | None, list[str]]:
    """How soon the worker said that it is not ready, and why; waits on when it has not yet."""
    began, said_so_s, reasons = time.monotonic(), None, list[str]()
    while (waited_s := time.monotonic() - began) < (seconds if reasons else SILENT_S):
        health: dict[str, Any] = await asyncio.to_thread(worker.health)
        if not health["ready"] and said_so_s is None:
            said_so_s, reasons = round(waited_s, 1), list(health["reasons"])
        await asyncio.sleep(0.1)
    return said_so_s, reasons


async def _send(bootstrap_servers: str, ids: list[str], a_second: int) -> list[Position]:
    """Steadily, and through the outage: what can't be sent is sent once the broker is back."""
    records = [
        Sent(orjson.dumps({"id": name, "text": text}), key=name.encode())
        for name, text in zip(ids, short_texts(len(ids)), strict=True)
    ]
    size = max(1, a_second // SLICES_A_SECOND)
    async with producing(bootstrap_servers) as producer:
        async with asyncio.TaskGroup() as sends:
            slices = []
            for first in range(0, len(records), size):
                some = records[first : first + size]
                slices.append(sends.create_task(send_all(producer, some)))
                await asyncio.sleep(size / a_second)
        return [position for one in slices for position in one.result()]


def main(seconds: float = 30, a_second: int = 50) -> None:
    """Stop the broker for a while under load; exit with 1 when anything is lost or unsaid."""

    async def run() -> Outage:
        async with cluster() as kafka:
            return await run_outage(kafka, seconds, a_second)

    outage = asyncio.run(run())
    tell(f"broker stopped for {seconds:g} s", asdict(outage), outage.good)


if __name__ == "__main__":
    typer.run(main)
