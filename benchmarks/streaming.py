"""`python -m benchmarks.streaming`: the first token of a text, where it is written and is read.

One request at a time, through Kafka and through a gateway's HTTP, in parts and as a whole, in
turns. For each the worker tells when its first token was chosen, so that what lies between is what
parts cost on their way.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.latencies import Latencies
from benchmarks.measure import BenchmarkFailed
from benchmarks.report import RESULTS, machine
from benchmarks.texts import read_texts, requested
from benchmarks.worker import environment, last_words, running_worker
from streamproc.client import AsyncClient, GenerationResult, OverHttp, OverKafka, TextPart
from streamproc.clock import SystemClock
from streamproc.kafka.embedded import EmbeddedBroker
from streamproc.kafka.topic_admin import TopicAdmin
from streamproc.kafka.topics import load_topics
from streamproc.settings import read_settings

TASK: Final = "text-generation"
GATEWAY_START_S: Final = 180.0
Writer = AsyncClient[GenerationResult]
Way = Callable[[Writer, str, Mapping[str, Any]], Awaitable[tuple[float, str]]]


async def in_parts(client: Writer, prompt: str, params: Mapping[str, Any]) -> tuple[float, str]:
    """When its first text was there, on the clock, and all of the text."""
    first_s, text = 0.0, ""
    async for part in client.stream(prompt, **params):
        if isinstance(part, TextPart):
            first_s = first_s or time.perf_counter()
            text += part.text
    return first_s, text


async def whole(client: Writer, prompt: str, params: Mapping[str, Any]) -> tuple[float, str]:
    """The same without parts."""
    answer = await client.ask(prompt, **params)
    return time.perf_counter(), answer.result["generated_text"]


@asynccontextmanager
async def running_gateway(settings: dict[str, str], folder: Path) -> AsyncIterator[str]:
    """The address of a gateway in a process of its own; raises BenchmarkFailed."""
    log = folder / "gateway.log"
    asked = {**settings, "gateway_port": "0", "log_format": "json"}
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "streamproc", "gateway"),
            env=environment(asked),
            stdout=sink,
            stderr=sink,
        )
    try:
        async with aiohttp.ClientSession() as http, asyncio.timeout(GATEWAY_START_S):
            while (address := await _ready(http, log)) is None:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        yield address
    except TimeoutError:
        raise BenchmarkFailed(f"the gateway is not ready: {last_words(log)}") from None
    finally:
        process.terminate()
        await process.wait()


async def _ready(http: aiohttp.ClientSession, log: Path) -> str | None:
    address = _address(log)
    if address is None:
        return None
    async with http.get(f"{address}/health/ready") as answer:
        return address if answer.status == 200 else None


def _address(log: Path) -> str | None:
    for line in log.read_text("utf-8", "replace").splitlines():
        if '"gateway started"' in line:
            return str(json.loads(line)["address"])
    return None


class FirstTokens:
    """What a worker says of the time to its first tokens."""

    def __init__(self, http: aiohttp.ClientSession, address: str) -> None:
        self._http = http
        self._address = address
        self._seconds, self._count = 0.0, 0.0

    async def next_s(self) -> float:
        """Of the one request since this was asked last: from submitted to its first token."""
        async with self._http.get(f"{self._address}/metrics") as answer:
            families = list(text_string_to_metric_families(await answer.text()))
        samples = [sample for family in families for sample in family.samples]
        name = "streamproc_first_token_seconds"
        seconds, count = (
            sum(sample.value for sample in samples if sample.name == f"{name}_{kind}")
            for kind in ("sum", "count")
        )
        found, requests = seconds - self._seconds, count - self._count
        self._seconds, self._count = seconds, count
        return found / max(requests, 1.0)


async def measured(asked: argparse.Namespace) -> dict[str, Any]:
    """The times of every way, by its name."""
    own = read_settings()
    prompts = [text[:200] for text in requested(read_texts(own.data), asked.requests)]
    params = {"max_new_tokens": asked.tokens, "min_new_tokens": asked.tokens, "truncate": "start"}
    with (
        tempfile.TemporaryDirectory() as temporary,
        EmbeddedBroker(cache_dir=own.cache_dir) as broker,
    ):
        kafka, folder = {"kafka_bootstrap_servers": broker.bootstrap_servers}, Path(temporary)
        settings = read_settings(kafka_bootstrap_servers=broker.bootstrap_servers)
        async with TopicAdmin(settings) as admin:
            await admin.create_missing(load_topics(settings.topics_dir).topics.values())
        threads = str(asked.threads)
        async with (
            running_worker({**kafka, "tasks": TASK, "threads": threads}, folder) as worker,
            running_gateway(kafka, folder) as address,
            aiohttp.ClientSession() as http,
            AsyncClient(TASK, OverKafka(settings)) as over_kafka,
            AsyncClient(TASK, OverHttp(address)) as over_http,
        ):
            ways: dict[str, tuple[Way, Writer]] = {
                f"{name}, {how}": (of, client)
                for name, client in (("Kafka", over_kafka), ("HTTP", over_http))
                for how, of in (("in parts", in_parts), ("whole", whole))
            }
            tokens = FirstTokens(http, worker.address)
            return await in_turns(ways, tokens, prompts, params)


async def in_turns(
    ways: Mapping[str, tuple[Way, Writer]],
    tokens: FirstTokens,
    prompts: Sequence[str],
    params: Mapping[str, Any],
) -> dict[str, Any]:
    """Every prompt in every way; raises BenchmarkFailed where one gives another text."""
    for of, client in ways.values():
        await of(client, prompts[0], params)
    await tokens.next_s()
    times: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
    for number, prompt in enumerate(prompts):
        texts = set()
        for name in sorted(ways, reverse=bool(number % 2)):
            of, client = ways[name]
            began_s = time.perf_counter()
            first_s, text = await of(client, prompt, params)
            ended_s = time.perf_counter()
            texts.add(text)
            times[name].append((await tokens.next_s(), first_s - began_s, ended_s - began_s))
        if len(texts) != 1:
            raise BenchmarkFailed("the same request got other texts another way")
    return {name: _summary(found) for name, found in times.items()}


def _summary(times: list[tuple[float, float, float]]) -> dict[str, Any]:
    """Milliseconds; of what lies between the median of each request's own difference, and ratio."""
    return {
        "in_worker": Latencies.of([1000 * worker for worker, _, _ in times]).as_json(),
        "first": Latencies.of([1000 * first for _, first, _ in times]).as_json(),
        "all": Latencies.of([1000 * ended for _, _, ended in times]).as_json(),
        "between_ms": median(1000 * (first - worker) for worker, first, _ in times),
        "first_to_all": median(first / ended for _, first, ended in times),
    }


def main() -> None:
    """Print the table, write the JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.streaming", description=__doc__)
    parser.add_argument("--requests", type=int, default=40)
    parser.add_argument("--tokens", type=int, default=64, help="written for each")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, default=RESULTS / "streaming.json")
    asked = parser.parse_args()
    try:
        found = asyncio.run(measured(asked))
    except BenchmarkFailed as error:
        sys.exit(str(error))
    about = {name: getattr(asked, name) for name in ("requests", "tokens", "threads")}
    print(", ".join(f"{name} {value}" for name, value in about.items()), "\n")
    print("| p50 ms | first token in the worker | first text read | between | all | first / all |")
    print("|---|---|---|---|---|---|")
    for name, row in found.items():
        in_worker, first, ended = (row[kind]["p50_ms"] for kind in ("in_worker", "first", "all"))
        between, share = row["between_ms"], row["first_to_all"]
        figures = f"{in_worker:.1f} | {first:.1f} | {between:.1f} | {ended:.0f} | {share:.2f}"
        print(f"| {name} | {figures} |")
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(
        json.dumps({**about, "machine": machine(SystemClock()), "ways": found}, indent=1)
    )


if __name__ == "__main__":
    main()
