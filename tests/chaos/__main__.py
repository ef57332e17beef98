"""Every fault, one after another, on workers under load; exits with 1 where a promise is broken.

`make chaos ROUNDS=1 DELIVERY=exactly_once SEED=7 LOAD=shop`, or `python -m tests.chaos --help`.
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
from tests.chaos.loads.catalogue import LoadName, load_named
from tests.chaos.loads.load import Load
from tests.chaos.place import place
from tests.chaos.run import Run
from tests.chaos.table import figures, is_good, show
from tests.support.command import ROOT
from tests.support.report import say

FOLDER = ROOT / "build" / "chaos"


def main(
    load: LoadName = LoadName.INSTANT,
    tasks: str = "",
    models_dir: Path | None = None,
    small: bool = False,
    rounds: int = 1,
    delivery: str = "at_least_once",
    seed: int = 0,
    workers: int = 2,
    requests: int = 0,
    a_second: float = 0,
    outage_s: float = 30,
    older: str = "",
    kills: int = 0,
    terms: int = 0,
    pauses: int = 0,
    others: int = 0,
    hasty: bool = False,
    only: str = "",
    code: Path = ROOT,
) -> None:
    """Let every fault happen in each round; or so many of each kind, where given.

    load: requests and events that are answered at once; requests of all tasks, mixed; or events of
        an invented shop through the shipped route
    tasks: of the load of that name, separated by commas; none: all that there is an ensemble for
    models_dir: with ensembles; none: that of the settings
    small: small graphs made by hand stand in for ensembles that are not there
    seed: of a run that is to be repeated; 0: any
    requests: are sent at least, spread over the faults
    a_second: requests and events; 0: as many as suit the load
    older: a version of streamproc, as git names it, that takes part; none: the last tag
    hasty: the next fault begins although the one before is not got over
    only: faults whose names contain this
    code: the folder whose `streamproc` the workers run, to try a change that is not in this one
    """
    seed = seed or secrets.randbelow(1_000_000) + 1
    folder = FOLDER / f"{seed}-{load}-{delivery}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    say(f"seed {seed}, {load}, {delivery}; logs are in {folder}")
    tree = unpacked(older or last_tag(), FOLDER / "older")
    if tree is None:
        say("no older version is tagged or named by --older: none takes part")

    async def run(sent: Load) -> dict[str, Any]:
        every = every_fault(outage_s, tree, sent.expendable)
        every = [fault for fault in every if only in fault.name]
        faults = in_rounds(every, rounds, seed)
        if kills or terms or pauses or others:
            faults = so_many(every, seed, kills, terms, pauses, others)
        began_s = time.monotonic()
        async with place(folder, seed, workers, sent, {"DELIVERY": delivery}, say, code) as scene:
            running = Run(scene, requests, a_second or sent.a_second, is_hasty=hasty)
            failure = await running.all(faults)
            seconds = time.monotonic() - began_s
            verdict = await running.verified(folder / "asked.jsonl")
        kept = is_good(verdict, running.windows, is_once=delivery == "exactly_once")
        return {
            "good": kept and not failure,
            "run": f"{load}, {delivery}, seed {seed}: {len(faults)} faults in {seconds:.0f} s",
            "asked": verdict.asked,
            "answered": verdict.answered,
            "faults": figures(verdict, running.windows),
            "kinds": verdict.kinds,
            "twice_by_cause": running.checks.twice_by_cause(),
            "first_wrong": verdict.first_wrong + failure,
        }

    quieten(folder)
    with load_named(load, seed, tasks, models_dir, small=small) as sent:
        told = asyncio.run(run(sent))
    (folder / "figures.json").write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2))
    show(told)
    good = told["good"]
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
