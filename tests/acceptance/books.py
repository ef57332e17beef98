"""Whole books as single requests: covered to the last character, while others are answered.

`python -m tests.acceptance.books`
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import typer

from streamproc.kafka.client import RequestClient
from streamproc.messages.client import ResponseBody
from streamproc.settings import read_settings
from tests.support.cluster import cluster, group
from tests.support.report import say, tell
from tests.support.texts import books, short_texts
from tests.support.topics import BULK, REQUESTS, RESPONSES

SETTINGS = {"MAX_MESSAGE_BYTES": str(8 << 20)}
LANES = {"bulk": BULK, "interactive": REQUESTS}


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of long texts, and of the short ones asked meanwhile.

    answers:      responses to the long texts, in their order
    latencies_ms: from sending a short request to reading its answer, sorted
    """

    answers: list[ResponseBody]
    latencies_ms: list[float]

    def whole(self) -> list[bool]:
        """Which long texts were covered to the last character."""
        covered = [answer.get("coverage") or {} for answer in self.answers]
        return [
            answer["status"] == "ok"
            and not cover["truncated"]
            and cover["characters"] == cover["characters_covered"] > 0
            for answer, cover in zip(self.answers, covered, strict=True)
        ]


async def read_aloud(
    bootstrap_servers: str, texts: Sequence[str], topic: str, a_second: float = 5
) -> Reading:
    """Ask all long texts at once on `topic`, and short ones on the interactive lane meanwhile."""
    settings = read_settings(
        kafka_bootstrap_servers=bootstrap_servers, max_message_bytes=SETTINGS["MAX_MESSAGE_BYTES"]
    )

    def client(requests_topic: str) -> RequestClient:
        return RequestClient(
            settings,
            requests_topic=requests_topic,
            responses_topic=RESPONSES,
            answer_timeout_s=600,
        )

    latencies: list[float] = []

    async def ask_short(short: RequestClient, text: str) -> None:
        began = time.perf_counter()
        answer = await short.ask({"text": text})
        assert answer["status"] == "ok", answer
        latencies.append(round((time.perf_counter() - began) * 1000, 1))

    async with client(topic) as long, client(REQUESTS) as short, asyncio.TaskGroup() as tasks:
        reading = [tasks.create_task(long.ask({"text": text})) for text in texts]
        for text in short_texts(10_000):
            if all(task.done() for task in reading):
                break
            tasks.create_task(ask_short(short, text))
            await asyncio.sleep(1 / a_second)
    return Reading([task.result() for task in reading], sorted(latencies))


def main(lane: str = "bulk") -> None:
    """Read every book of `longdocs`; exit with 1 when a character was left out."""
    shelf = books()

    async def run() -> dict[str, Any]:
        async with (
            cluster(SETTINGS) as kafka,
            group(kafka.bootstrap_servers, "books", kafka.folder, settings=SETTINGS) as workers,
        ):
            worker = workers.workers[0]
            before_mib, began = worker.peak_rss_mib(), time.monotonic()
            texts = [book["text"] for book in shelf]
            reading = await read_aloud(kafka.bootstrap_servers, texts, LANES[lane])
            return {
                "books": len(shelf),
                "whole": sum(reading.whole()),
                "characters": sum(map(len, texts)),
                "chunks": sum(answer["coverage"]["chunks"] for answer in reading.answers),
                "lane": lane,
                "seconds": round(time.monotonic() - began, 1),
                "worker_mib_before": round(before_mib),
                "worker_mib_peak": round(worker.peak_rss_mib()),
                "short_requests_meanwhile": len(reading.latencies_ms),
                **_quantiles(reading.latencies_ms),
            }

    say(f"{len(shelf)} books, {sum(len(book['text']) for book in shelf)} characters")
    found = asyncio.run(run())
    tell("every book as one request", found, found["whole"] == len(shelf))


def _quantiles(ordered: Sequence[float]) -> dict[str, float]:
    return {
        f"short_p{share}_ms": ordered[min(len(ordered) - 1, len(ordered) * share // 100)]
        for share in (50, 99)
        if ordered
    }


if __name__ == "__main__":
    typer.run(main)
