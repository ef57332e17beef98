"""Kill workers that serve a route, and see that every event comes out, to the byte.

`python -m tests.acceptance.routed_events --events 50000 --kills 5 --seed 1` sends events of an
invented shop through the shipped route: three answers with the shipped ensembles, and redaction.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import typer

from streamproc.kafka.background import beside
from streamproc.settings import read_settings
from tests.acceptance.chaos import Chaos, CommittedProgress, Progress, send_unlocked
from tests.support.chaos_report import Plan, Report
from tests.support.cluster import apply_topics, cluster, group
from tests.support.report import say, tell
from tests.support.route_verifier import RouteVerdict, verdict_of
from tests.support.shop_events import shop_records
from tests.support.topics import Sent, create_topic, end_offsets, reader, wait_until_committed


async def run_routed(
    bootstrap_servers: str, folder: Path, plan: Plan, say: Callable[[str], None] = lambda _: None
) -> tuple[Report, RouteVerdict]:
    """Send events, act as planned, wait until all is committed, and have it verified."""
    report, began = Report(is_once=plan.is_once), time.monotonic()
    name = f"routed-{plan.seed}"
    source, out, letters = (f"{name}.reviews{kind}.v1" for kind in ("", ".enriched", ".dlq"))
    settings = {"ROUTES_DIR": str(describe_route(folder / "routes", name))}
    await asyncio.to_thread(apply_topics, bootstrap_servers, settings)
    await create_topic(bootstrap_servers, source, topic_partitions=6)
    records = [
        Sent(event, source, (("shop", b"invented"), ("empty", b"")), b"%d" % (number % 97))
        for number, event in enumerate(shop_records(plan.requests, plan.seed))
    ]
    start = await end_offsets(bootstrap_servers, out, letters)
    async with (
        group(
            bootstrap_servers,
            name,
            folder,
            workers=plan.workers,
            settings={**plan.settings, **settings},
        ) as workers,
        reader(bootstrap_servers, [out, letters]) as made,
    ):
        chaos = Chaos(bootstrap_servers, workers, start, plan, report, say)
        sending = asyncio.create_task(send_unlocked(bootstrap_servers, records, chaos.unlocked))
        try:
            progress = Progress(made, start)
            if plan.is_once:
                progress = CommittedProgress(bootstrap_servers, workers)
            await chaos.act(progress)
            positions = await sending
        finally:
            sending.cancel()
        say("all workers killed that were to be; waiting for the rest")
        async with beside(chaos.keep_alive()):
            await wait_until_committed(bootstrap_servers, name, positions)
        for worker in workers.workers:
            await worker.wait_until_ready()
        report.drained_exits += [await worker.terminate() for worker in workers.workers]
        await chaos.check()
    report.seconds = time.monotonic() - began
    say("verifying")
    return report, await verified(bootstrap_servers, source, out, letters)


def describe_route(folder: Path, prefix: str) -> Path:
    """The shipped example, over topics of its own, from their beginning and without a deadline."""
    folder.mkdir()
    shipped = read_settings().topics_dir / "examples" / "routes" / "shop-reviews.yaml"
    lines = shipped.read_text("utf-8").replace("shop.reviews.", f"{prefix}.reviews.").splitlines()
    kept = [line for line in lines if not line.startswith(("deadline_ms:", "examples:"))]
    text = "\n".join(kept).replace("start: latest", "start: earliest")
    (folder / "shop-reviews.yaml").write_text(text, "utf-8")
    return folder


async def verified(bootstrap_servers: str, *topics: str) -> RouteVerdict:
    """What a program that knows nothing of streamproc says of the topics."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.route_verifier", bootstrap_servers, *topics),
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await process.communicate()
    return verdict_of(orjson.loads(told))


def figures(report: Report, verdict: RouteVerdict) -> dict[str, Any]:
    """What is to be told of a run."""
    return {
        "events": verdict.events,
        "of these": verdict.kinds,
        "lost": verdict.lost,
        "changed": verdict.changed,
        "made of nothing": verdict.strangers,
        "duplicates": verdict.duplicates,
        "duplicates that differ": verdict.unlike,
        "committed too early": len(report.too_early),
        "MB in, out": f"{verdict.bytes_in / 1e6:.1f}, {verdict.bytes_out / 1e6:.1f}",
        "SIGKILL": report.kills,
        "SIGTERM": report.terms,
        "SIGSTOP": report.pauses,
        "ended by themselves": report.own_ends,
        "exits after SIGTERM": report.drained_exits,
        "seconds": round(report.seconds, 1),
        "first wrong": verdict.first_wrong or "none",
    }


def main(
    events: int = 50_000,
    workers: int = 2,
    kills: int = 5,
    seed: int = 1,
    terms: int = 0,
    pauses: int = 0,
    delivery: str = "at_least_once",
) -> None:
    """Kill workers while events go through a route; exit with 1 when one was lost or changed."""

    async def run() -> tuple[Report, RouteVerdict]:
        async with cluster() as kafka:
            plan = Plan(events, workers, kills, terms, seed, pauses, delivery == "exactly_once")
            return await run_routed(kafka.bootstrap_servers, kafka.folder, plan, say)

    report, verdict = asyncio.run(run())
    is_twice = report.is_once and verdict.duplicates
    good = verdict.good and not is_twice and not report.too_early and not any(report.drained_exits)
    acts = f"{kills} SIGKILL, {terms} SIGTERM, {pauses} SIGSTOP"
    tell(f"{events} events, {acts}, {delivery}", figures(report, verdict), good)


if __name__ == "__main__":
    typer.run(main)
