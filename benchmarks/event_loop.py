"""`python -m benchmarks.event_loop`: what a request costs the event loop beside its models.

Members give every chunk the same scores at once, so that all that is left is the way of a request.
Every figure is CPU time of the loop's thread, as the machine may have others to serve, and comes
from a process of its own, which first times a fixed number of turns of an empty loop.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final

import orjson
import typer
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.event_loop_probe import ECHO_TOPIC
from benchmarks.measure import BenchmarkFailed
from benchmarks.report import RESULTS, machine, write_json
from benchmarks.terminal import progress, run
from benchmarks.texts import read_texts, requested
from streamproc.clock import SystemClock
from streamproc.kafka.embedded import EmbeddedBroker
from streamproc.kafka.topic_admin import TopicAdmin
from streamproc.kafka.topics import load_topics
from streamproc.messages.lane import Lane
from streamproc.settings import read_settings

PROBE: Final = Path(__file__).with_name("event_loop_probe.py")
HERE: Final = "this"
WAYS: Final = {
    "pipeline": "the pipeline, without Kafka",
    "worker": "a worker, through Kafka",
    "echo": "the same, answering with the request",
    "raw": "aiokafka alone, polls sent on",
}
OF_KAFKA: Final = ("worker", "echo", "raw")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured; trees: the checkouts, by the name that they have in the table."""

    task: str
    requests: int
    rounds: int
    ways: Sequence[str]
    delivery: str
    budget_tokens: int
    trees: Mapping[str, Path]
    json: Path


def main(
    task: Annotated[str, typer.Option(help="one that scores")] = "text-classification",
    requests: Annotated[int, typer.Option(min=1000, help="requests in a round")] = 10_000,
    rounds: Annotated[int, typer.Option(min=1, help="rounds of every row")] = 3,
    way: Annotated[list[str] | None, typer.Option(help="only these rows")] = None,
    delivery: Annotated[str, typer.Option(help="as the worker's setting")] = "at_least_once",
    budget_tokens: Annotated[int, typer.Option(min=16, help="padded tokens a batch")] = 16_384,
    against: Annotated[
        Path | None, typer.Option(help="another checkout, measured in turns with this one")
    ] = None,
    json: Annotated[Path, typer.Option(help="where figures go")] = RESULTS / "event-loop.json",
) -> None:
    """Measure a request's CPU time on the event loop's thread, and where it goes."""
    console = Console()
    trees = {HERE: PROBE.parent.parent}
    if against is not None:
        trees[str(against.name)] = against
    ways = way or list(WAYS)
    plan = Plan(task, requests, rounds, ways, delivery, budget_tokens, trees, json)
    run(_measure(plan, console))


async def _measure(plan: Plan, console: Console) -> None:
    say = progress(console)

    texts = requested(read_texts(read_settings().data), plan.requests)
    values = [_request(plan.task, at, text) for at, text in enumerate(texts)]
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    profiles: dict[tuple[str, str], Counter[str]] = {}
    with tempfile.TemporaryDirectory(prefix="streamproc-bench-") as folder:
        file = Path(folder) / "values.json"
        file.write_bytes(orjson.dumps([value.decode() for value in values]))
        async with _backlog(plan, values) as servers:
            # The last round tells where time goes, which costs time itself.
            for turn in range(plan.rounds + 1):
                is_last = turn == plan.rounds
                for name, tree in plan.trees.items():
                    for way in plan.ways:
                        if is_last and way == "raw":
                            continue
                        say(f"round {turn + 1}: {way}, {name}")
                        asked = [way, "--values", str(file), "--servers", servers]
                        asked += ["--group", f"loop-{way}-{name}-{turn}"]
                        said = await _probed(plan, tree, asked, is_last)
                        if is_last:
                            profiles[way, name] = Counter(said["profile"])
                        else:
                            found[way, name].append(said)
    _report(plan, found, profiles, console)


def _request(task: str, number: int, text: str) -> bytes:
    fields = {"text": text}
    if task == "question-answering":
        fields = {"question": "What is it about?", "context": text or "Nothing."}
    return orjson.dumps({"id": str(number), **fields})


@asynccontextmanager
async def _backlog(plan: Plan, values: Sequence[bytes]) -> AsyncIterator[str]:
    """Kafka's address, all requests stored there; nothing where it takes no part."""
    if not set(plan.ways).intersection(OF_KAFKA):
        yield ""
        return
    broker = EmbeddedBroker()
    try:
        await asyncio.to_thread(broker.start)
        servers = broker.bootstrap_servers
        settings = read_settings(kafka_bootstrap_servers=servers)
        async with TopicAdmin(settings) as admin:
            catalogue = load_topics(settings.topics_dir)
            await admin.create_missing(catalogue.topics.values())
            topic = catalogue.request_topic(plan.task, Lane.INTERACTIVE).name
        client = AIOKafkaAdminClient(bootstrap_servers=servers)
        await client.start()
        await client.create_topics([NewTopic(ECHO_TOPIC, 12, 1)])
        await client.close()
        async with AIOKafkaProducer(
            bootstrap_servers=servers, linger_ms=5, max_batch_size=65_536
        ) as producer:
            for value in values:
                await producer.send(topic, value)
        yield servers
    finally:
        await asyncio.to_thread(broker.stop)


async def _probed(plan: Plan, tree: Path, asked: Sequence[str], profiled: bool) -> dict[str, Any]:
    flags = ["--requests", str(plan.requests), "--budget-tokens", str(plan.budget_tokens)]
    flags += [
        "--task",
        plan.task,
        "--delivery",
        plan.delivery,
        *(["--profile"] if profiled else []),
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *(str(PROBE), *asked, *flags),
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, errors = await process.communicate()
    lines = said.splitlines()
    if process.returncode != 0 or not lines:
        raise BenchmarkFailed(errors.decode("utf-8", "replace")[-2000:])
    found: dict[str, Any] = orjson.loads(lines[-1])
    return found


def _report(
    plan: Plan,
    found: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]],
    profiles: Mapping[tuple[str, str], Counter[str]],
    console: Console,
) -> None:
    figures = {key: _figures(said) for key, said in found.items()}
    table = Table(title="A request beside its models, medians over rounds", box=SIMPLE_HEAD)
    for heading in ("", "tree"):
        table.add_column(heading, no_wrap=True)
    for heading in ("loop µs", "in turns of a loop", "process µs", "req/s", "longest gc ms"):
        table.add_column(heading, justify="right")
    for (way, tree), each in figures.items():
        shown = ("loop_us", "turns", "process_us", "requests_per_s", "longest_gc_ms")
        table.add_row(WAYS[way], tree, *(f"{each[name]:,.0f}" for name in shown))
    console.print(table)
    for (way, tree), counts in profiles.items():
        _print_profile(console, f"{WAYS[way]}, {tree}", counts, figures[way, tree]["loop_us"])
    written = {
        "machine": machine(SystemClock()),
        "task": plan.task,
        "requests": plan.requests,
        "delivery": plan.delivery,
        "budget_tokens": plan.budget_tokens,
        "figures": {f"{way}, {tree}": each for (way, tree), each in figures.items()},
        "profile_samples": {f"{way}, {tree}": dict(each) for (way, tree), each in profiles.items()},
    }
    write_json(plan.json, written)
    console.print(f"figures: {plan.json}", highlight=False)


def _figures(rounds: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """turns: the same in turns of an empty loop, which a slow machine takes longer for too."""

    def typical(value: str, scale: float) -> float:
        return float(median(each[value] / each["requests"] * scale for each in rounds))

    return {
        "loop_us": typical("loop_s", 1e6),
        "turns": median(
            each["loop_s"] / each["requests"] / (each["control_s"] / 100_000) for each in rounds
        ),
        "process_us": typical("process_s", 1e6),
        "requests_per_s": median(each["requests"] / each["wall_s"] for each in rounds),
        "longest_gc_ms": max(each["longest_collection_s"] for each in rounds) * 1000,
    }


def _print_profile(console: Console, title: str, counts: Counter[str], loop_us: float) -> None:
    counts.pop("idle", None)
    total = counts.total()
    if not total:
        return
    table = Table(title=f"Where it goes: {title}", box=SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    table.add_column("µs", justify="right")
    for cause, samples in counts.most_common():
        table.add_row(cause, f"{loop_us * samples / total:,.0f}")
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
