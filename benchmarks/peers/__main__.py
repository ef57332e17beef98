"""`python -m benchmarks.peers`: ours and other ways, the same models and requests, in turns.

Every peer gets an environment of its own, made at first use of what `requirements/peers` locks.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import aiohttp
import typer
from rich.console import Console

from benchmarks.end_to_end import ThroughKafka
from benchmarks.harness import Stage, set_up
from benchmarks.in_process import Ceiling
from benchmarks.measure import Contender, in_turns
from benchmarks.peers.contenders import (
    HttpPeer,
    KafkaPeer,
    answers_http,
    ask_mlserver,
    running_peer,
    write_mlserver_settings,
)
from benchmarks.peers.environments import ROOT, environment_of
from benchmarks.peers.pictures import peers_plot
from benchmarks.peers.programs import KAFKA_PROGRAMS, MLSERVER, Program
from benchmarks.peers.scorer import Asked
from benchmarks.peers.waiting import Ask, print_waiting, through_kafka, waiting
from benchmarks.peers.workload import in_one_window, models_of
from benchmarks.report import RESULTS, described, machine, print_throughput, summary, write_json
from benchmarks.terminal import progress, run
from benchmarks.texts import read_texts, requested
from benchmarks.traffic import BULK_TOPIC, INTERACTIVE_TOPIC, RESPONSES_TOPIC, TASK
from benchmarks.workload import Workload, build_workload, load_members
from streamproc.clock import SystemClock
from streamproc.enrichment.catalogue import RouteTopic
from streamproc.kafka.topics import load_topics
from streamproc.messages.lane import Lane
from streamproc.repository.repository import Repository
from streamproc.settings import read_settings

RESPONSES: Final = "peers.responses"
TOPIC_PARTITIONS: Final = 12
THREADS: Final = 2
BUDGET_TOKENS: Final = 512
# Beside the ceiling's, as peers pad in other batches.
TOLERANCE: Final = 1e-4
WARM_UP: Final = 200
SHORT_CHARACTERS: Final = 128
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, and where environments are made."""

    requests: int
    rounds: int
    alone: int
    folder: Path
    json: Path
    picture: Path | None


def main(
    requests: Annotated[int, typer.Option(min=1, help="requests in a round")] = 1000,
    rounds: Annotated[int, typer.Option(min=1, help="rounds of every contender")] = 3,
    alone: Annotated[int, typer.Option(min=1, help="single requests of an idle peer")] = 100,
    environments: Annotated[Path, typer.Option(help="where they are made")] = ROOT / "build/peers",
    json: Annotated[Path, typer.Option(help="where figures go")] = RESULTS / "peers.json",
    picture: Annotated[Path | None, typer.Option(help="where a PNG goes")] = None,
) -> None:
    """Measure streamproc and its peers on texts of one window, which is what all of them read."""
    console = Console()
    plan = Plan(requests, rounds, alone, environments, json, picture)
    sys.exit(run(_measure(plan, console)))


async def _measure(plan: Plan, console: Console) -> int:
    """Exit code: 1 when contenders answered differently."""

    say = progress(console)

    settings = read_settings()
    topic = load_topics(settings.topics_dir).request_topic(TASK, Lane.INTERACTIVE)
    stored = Repository(settings.models_dir).open(topic.ensemble)
    spec, members, _ = load_members(stored, "cpu")
    texts = requested(read_texts(settings.data), 2 * plan.requests)
    workload = in_one_window(build_workload(texts, spec, members)).first(plan.requests)
    pythons = {}
    for environment in sorted({each.environment for each in (*KAFKA_PROGRAMS, MLSERVER)}):
        say(f"the environment of {environment}")
        pythons[environment] = await asyncio.to_thread(environment_of, environment, plan.folder)
    worker = {
        "device": "cpu",
        "threads": str(THREADS),
        "batch_budget_tokens": str(BUDGET_TOKENS),
        "group_id": "peers",
    }
    topics = [_topic(name) for name in (RESPONSES, *map(_requests, KAFKA_PROGRAMS))]
    async with AsyncExitStack() as opened:
        stage = await opened.enter_async_context(
            set_up(worker, say, sources=topics, answers=(RESPONSES_TOPIC, RESPONSES))
        )
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="streamproc-peers-")))
        models = folder / "models.json"
        models_of(stored).write(models)
        peers = [_ours(stage)]
        for program in KAFKA_PROGRAMS:
            python = pythons[program.environment]
            running = _kafka_peer(program, python, folder, models, stage)
            peers.append(await opened.enter_async_context(running))
        running = _mlserver(pythons[MLSERVER.environment], folder, models)
        peers.append(await opened.enter_async_context(running))
        say("warming up")
        for _ in range(2):
            for each in peers:
                await each.contender(workload.first(WARM_UP)).round()
        contenders: list[Contender] = [Ceiling(workload, THREADS, BUDGET_TOKENS)]
        contenders += [each.contender(workload) for each in peers]
        done = await in_turns(contenders, plan.rounds, say)
        short = [text for text in workload.texts if len(text) <= SHORT_CHARACTERS]
        waited = {}
        for each in peers:
            backlog = each.backlog(workload)
            say(f"single requests: {backlog.name}")
            waited[backlog.name] = await waiting(each.ask, backlog, short, plan.alone)
    figures = summary(done)
    print_throughput(console, figures)
    print_waiting(console, waited, plan.requests)
    write_json(
        plan.json,
        {
            "machine": machine(SystemClock()),
            "workload": described(workload),
            "contenders": figures,
            "waiting": {name: each.as_json() for name, each in waited.items()},
        },
    )
    console.print(f"figures: {plan.json}", highlight=False)
    if plan.picture is not None:
        plan.picture.write_bytes(peers_plot(figures, waited))
    wrong = [
        name for name, each in figures.items() if each["largest_probability_difference"] > TOLERANCE
    ]
    if wrong:
        console.print(f"Answers differ from the ceiling's: {', '.join(wrong)}", style="bold red")
    return 1 if wrong else 0


@dataclass(frozen=True, slots=True)
class Peer:
    """A way to answer that is up.

    contender: all requests of a workload, as fast as they go
    backlog:   the same where others wait behind them: ours has a lane for those
    """

    contender: Callable[[Workload], Contender]
    backlog: Callable[[Workload], Contender]
    ask: Ask


def _ours(stage: Stage) -> Peer:
    return Peer(
        contender=lambda some: ThroughKafka(some, stage),
        backlog=lambda some: ThroughKafka(some, stage, BULK_TOPIC),
        ask=through_kafka(stage.traffic, INTERACTIVE_TOPIC),
    )


@asynccontextmanager
async def _kafka_peer(
    program: Program, python: Path, folder: Path, models: Path, stage: Stage
) -> AsyncIterator[Peer]:
    topic = _requests(program)
    asked = _asked(program, models, stage.bootstrap_servers, topic)
    own = folder / topic
    own.mkdir()
    async with running_peer(program, python, asked, own) as pids:

        def contender(some: Workload) -> Contender:
            return KafkaPeer(program.name, some, stage.traffic, topic, pids)

        yield Peer(contender, contender, through_kafka(stage.traffic, topic))


@asynccontextmanager
async def _mlserver(python: Path, folder: Path, models: Path) -> AsyncIterator[Peer]:
    own = folder / MLSERVER.environment
    own.mkdir()
    port = write_mlserver_settings(MLSERVER, own)
    address = f"http://127.0.0.1:{port}"
    async with (
        running_peer(MLSERVER, python, _asked(MLSERVER, models), own) as [pid],
        aiohttp.ClientSession() as http,
    ):
        await answers_http(address)

        def contender(some: Workload) -> Contender:
            return HttpPeer(MLSERVER.name, some, address, pid)

        yield Peer(contender, contender, partial(ask_mlserver, http, address))


def _asked(program: Program, models: Path, servers: str = "", requests: str = "") -> dict[str, str]:
    return Asked(
        servers=servers,
        requests=requests,
        responses=RESPONSES,
        models=models,
        threads=program.threads,
        spinning=program.spinning,
        batch=program.batch,
    ).environment()


def _requests(program: Program) -> str:
    """Its request topic, which no other peer reads."""
    return "peers." + re.sub("[^a-z0-9]+", "-", program.name.lower())


def _topic(name: str) -> RouteTopic:
    return RouteTopic(name, TOPIC_PARTITIONS, _DAY_MS)


if __name__ == "__main__":
    typer.run(main)
