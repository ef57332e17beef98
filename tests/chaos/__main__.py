"""Every fault, one after another, on workers under load; exits with 1 where a promise is broken.

`make chaos ROUNDS=1 DELIVERY=exactly_once SEED=7`, or `python -m tests.chaos --help`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import subprocess
import sys
import tarfile
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import typer

from tests.chaos.faults.catalogue import every_fault, in_rounds, so_many
from tests.chaos.place import place
from tests.chaos.run import Run
from tests.chaos.table import figures, is_good, show
from tests.support.command import ROOT
from tests.support.report import say

FOLDER = ROOT / "build" / "chaos"


def main(
    rounds: int = 1,
    delivery: str = "at_least_once",
    seed: int = 0,
    workers: int = 2,
    requests: int = 0,
    a_second: float = 100,
    outage_s: float = 30,
    older: str = "",
    kills: int = 0,
    pauses: int = 0,
    others: int = 0,
    hasty: bool = False,
    only: str = "",
    code: Path = ROOT,
) -> None:
    """Let every fault happen in each round; or so many kills, pauses and others, where given.

    seed: of a run that is to be repeated; 0: any
    older: a version of streamproc, as git names it, that takes part; none: the last tag
    hasty: the next fault begins although the one before is not got over
    only: faults whose names contain this
    code: the folder whose `streamproc` the workers run, to try a change that is not in this one
    """
    seed = seed or secrets.randbelow(1_000_000) + 1
    folder = FOLDER / f"{seed}-{delivery}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    say(f"seed {seed}, {delivery}; logs are in {folder}")
    tree = unpacked(older or last_tag(), FOLDER / "older")
    every = every_fault(outage_s, tree)
    if tree is None:
        say("no older version is tagged or named by --older: none takes part")
    every = [fault for fault in every if only in fault.name]
    faults = in_rounds(every, rounds, seed)
    if kills or pauses or others:
        faults = so_many(every, kills, pauses, others, seed)

    async def run() -> bool:
        quieten(folder)
        began_s = time.monotonic()
        async with place(folder, seed, workers, {"DELIVERY": delivery}, say, code) as scene:
            running = Run(scene, requests, a_second, is_hasty=hasty)
            failure = await running.all(faults)
            seconds = time.monotonic() - began_s
            verdict = await running.verified(folder / "asked.jsonl")
        lines = figures(verdict, running.windows)
        asked = f"{verdict.asked} requests and events, {verdict.answered} answered"
        show(f"{delivery}, seed {seed}: {len(faults)} faults in {seconds:.0f} s, {asked}", lines)
        causes = running.checks.twice_by_cause()
        for line in [f"twice by cause: {causes}"] * bool(causes) + verdict.first_wrong + failure:
            say(line)
        kept = is_good(verdict, running.windows, is_once=delivery == "exactly_once")
        good = kept and not failure
        told: dict[str, Any] = {"good": good, "seed": seed, "delivery": delivery, "asked": asked}
        told |= {"seconds": round(seconds), "faults": lines, "twice_by_cause": causes}
        told["first_wrong"] = verdict.first_wrong + failure
        (folder / "figures.json").write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2))
        return good

    good = asyncio.run(run())
    say("every promise was kept" if good else f"a promise was broken; again with --seed {seed}")
    sys.exit(0 if good else 1)


def quieten(folder: Path) -> None:
    """Keep what our own Kafka clients say of an absent broker out of the terminal."""
    log = logging.FileHandler(folder.with_suffix(".log"), "w")
    logging.getLogger("aiokafka").addHandler(log)
    logging.getLogger("aiokafka").propagate = False


def last_tag() -> str:
    """The version that was released last; empty where there is none."""
    told = subprocess.run(
        ["git", "describe", "--tags", "--abbrev=0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout.strip()


def unpacked(version: str, folder: Path) -> Path | None:
    """A version's tree as git has it; None: none is asked for."""
    if not version:
        return None
    packed = subprocess.run(
        ["git", "archive", version, "streamproc", "topics"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_show_locals=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
