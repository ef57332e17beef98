"""`python -m benchmarks`: end to end beside a ceiling, a control and common practice."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final, Literal

import typer
from rich.console import Console

from benchmarks.end_to_end import InPipeline, ThroughKafka
from benchmarks.harness import set_up
from benchmarks.in_process import WHOLE_CEILING, ArrivalBatches, Ceiling, OneAtATime
from benchmarks.measure import Contender, in_turns
from benchmarks.report import (
    RESULTS,
    described,
    machine,
    print_stages,
    print_throughput,
    summary,
    write_json,
)
from benchmarks.terminal import progress, run
from benchmarks.texts import read_texts, requested
from benchmarks.traffic import TASK
from benchmarks.widening import whole_members
from benchmarks.workload import DeviceUnusable, Workload, build_workload, load_members
from streamproc.clock import SystemClock
from streamproc.errors import EmbeddedBrokerError
from streamproc.kafka.topics import load_topics
from streamproc.messages.lane import Lane
from streamproc.repository.repository import Repository
from streamproc.settings import Settings, read_settings
from streamproc.worker import local_pipeline

# What conformance allows; CUDA kernels add up in another order for every shape of a batch.
TOLERANCE: Final = {"cpu": 1e-4, "cuda": 1e-2}
BUDGET_TOKENS: Final = {"cpu": 512, "cuda": 16_384}
WARM_UP: Final = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    device: str
    requests: int
    rounds: int
    threads: int
    budget_tokens: int
    kafka: bool
    whole: bool
    json: Path


def main(
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="where models run")] = "cpu",
    requests: Annotated[int, typer.Option(min=1, help="requests in a round")] = 2000,
    rounds: Annotated[int, typer.Option(min=1, help="rounds of every contender")] = 3,
    threads: Annotated[int, typer.Option(min=1, help="threads that run models")] = 2,
    budget_tokens: Annotated[
        int | None, typer.Option(min=16, help="padded tokens a batch; default by device")
    ] = None,
    kafka: Annotated[bool, typer.Option(help="without: the pipeline in this process")] = True,
    whole: Annotated[bool, typer.Option(help="beside whole fp32 members, on the CPU")] = True,
    json: Annotated[Path | None, typer.Option(help="where figures are written")] = None,
) -> None:
    """Measure end to end beside a raw ceiling, one chunk at a time, and batches as they come."""
    plan = Plan(
        device,
        requests,
        rounds,
        threads,
        budget_tokens or BUDGET_TOKENS[device],
        kafka,
        whole and device == "cpu",
        json or RESULTS / f"throughput-{device}.json",
    )
    console = Console()
    try:
        sys.exit(run(_measure(plan, console)))
    except DeviceUnusable as reason:
        console.print(f"Nothing was measured, as CUDA can't be used here: {reason}", markup=False)


async def _measure(plan: Plan, console: Console) -> int:
    """Exit code: 1 when contenders answered differently."""
    settings = read_settings(
        device=plan.device, threads=plan.threads, batch_budget_tokens=plan.budget_tokens
    )
    topic = load_topics(settings.topics_dir).request_topic(TASK, Lane.INTERACTIVE)
    stored = Repository(settings.models_dir).open(topic.ensemble)
    spec, members, provider = load_members(stored, plan.device)
    texts = requested(read_texts(settings.data), plan.requests)
    workload = build_workload(texts, spec, members)

    say = progress(console)

    async with _ours(plan, settings, workload, say) as ours:
        contenders = [
            Ceiling(workload, plan.threads, plan.budget_tokens),
            ours(workload),
            OneAtATime(workload, plan.threads),
            ArrivalBatches(workload, plan.threads),
        ]
        if plan.whole and stored.manifest.prefix is not None:
            # What the same weights would cost without shared layers and int8.
            whole = replace(workload, members=whole_members(stored))
            contenders.append(Ceiling(whole, plan.threads, plan.budget_tokens, WHOLE_CEILING))
        say("warming up")
        warm = workload.first(WARM_UP)
        await ours(warm).round()
        await OneAtATime(warm, plan.threads).round()
        done = await in_turns(contenders, plan.rounds, say)
    figures = summary(done)
    about = described(workload)
    print_throughput(console, figures)
    mine = figures[contenders[1].name]
    if mine["stage_ms"]:
        print_stages(console, mine["stage_ms"], mine["beside_cpu_s_per_1000"], about["tokenize_ms"])
    write_json(
        plan.json,
        {
            "machine": {**machine(SystemClock()), "device": provider.device},
            "workload": about,
            "threads": plan.threads,
            "budget_tokens": plan.budget_tokens,
            "contenders": figures,
        },
    )
    console.print(f"figures: {plan.json}", highlight=False)
    wrong = [
        name
        for name, each in figures.items()
        if each["largest_probability_difference"] > TOLERANCE[plan.device] and name != WHOLE_CEILING
    ]
    if wrong:
        console.print(f"Answers differ from the ceiling's: {', '.join(wrong)}", style="bold red")
    return 1 if wrong else 0


Ours = Callable[[Workload], Contender]


@asynccontextmanager
async def _ours(
    plan: Plan, settings: Settings, workload: Workload, say: Callable[[str], None]
) -> AsyncIterator[Ours]:
    """Through Kafka; where it is not wanted, or on CUDA can't be had, the pipeline alone."""
    worker = {
        "device": plan.device,
        "threads": str(plan.threads),
        "batch_budget_tokens": str(plan.budget_tokens),
        "group_id": "benchmarks",
    }
    async with AsyncExitStack() as opened:
        if plan.kafka:
            try:
                stage = await opened.enter_async_context(set_up(worker, say))
            except EmbeddedBrokerError as reason:
                # A GPU machine may have no network to fetch Kafka from.
                if plan.device == "cpu":
                    raise
                say(f"Kafka is left out: {reason}")
            else:
                yield lambda some: ThroughKafka(some, stage)
                return
        ensemble = workload.spec.name
        local = local_pipeline(settings, TASK, ensemble, SystemClock())
        pipeline = await opened.enter_async_context(local)
        yield lambda some: InPipeline(some, pipeline)


if __name__ == "__main__":
    typer.run(main)
