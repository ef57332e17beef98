"""A version is promoted, rolled back, and a broken one refused, under load: nothing is lost.

`python -m tests.acceptance.reloads --rate 200 --seconds 60 --plot reloads.png`
sends requests at a rate, whatever comes back (an open loop), to a worker of the shipped sentiment
ensemble. A quarter of the time in, a version 2 of it is promoted by `streamproc models promote`; at
half, rolled back; at three quarters, a version 3 is promoted one of whose models is damaged. It
counts requests that got no answer, several, or an error, and says how long answers took in every
second: from the moment that a request was due, so that none hides behind one that was late.
`--small` takes small graphs made by hand in the place of the shipped ensemble: what is left then is
what an exchange itself costs, also on a machine that has much else to do.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from streamproc.repository.changes import copy_ensemble
from streamproc.repository.repository import Repository
from streamproc.settings import read_settings
from tests.support import versioned_models
from tests.support.cluster import cluster, group
from tests.support.command import streamproc
from tests.support.report import say, tell
from tests.support.texts import short_texts
from tests.support.topics import REQUESTS, RESPONSES, producing, reader

ENSEMBLE = "sentiment"
WARM_UP_S = 5
ANSWERED_WITHIN_S = 60


@dataclass(slots=True)
class Seen:
    """What came of the requests, by the number of each.

    due_s: when it was to be sent; answered_s: when its response was read; both on one clock
    manifests: digests that responses name
    """

    due_s: dict[int, float] = field(default_factory=dict)
    answered_s: dict[int, float] = field(default_factory=dict)
    manifests: dict[int, str] = field(default_factory=dict)
    times: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)


def write_versions(root: Path, shipped: Path) -> dict[str, str]:
    """The ensemble as shipped, a version that combines its members in another way, and a damaged
    one; the version by the digest of its manifest."""
    (root / ENSEMBLE).mkdir(parents=True)
    shipped_copy = Repository(shipped).open(ENSEMBLE)
    for file in shipped_copy.folder.rglob("*"):
        target = root / ENSEMBLE / file.relative_to(shipped_copy.folder)
        if file.is_dir():
            target.mkdir(exist_ok=True)
        else:
            target.write_bytes(file.read_bytes())
    if shipped_copy.manifest.prefix is not None:
        path = shipped_copy.prefix_path(shipped_copy.manifest.prefix)
        (root / "prefixes").mkdir()
        (root / "prefixes" / path.name).write_bytes(path.read_bytes())
    first = Repository(root).open(ENSEMBLE)
    for version in ("2", "3"):
        folder = copy_ensemble(first, f"{ENSEMBLE}@{version}")
        manifest = folder / "manifest.toml"
        text = manifest.read_text("utf-8")
        assert "[combine]" in text
        changed = text.replace("[combine]", f"# version {version}\n[combine]", 1)
        changed = changed.replace('strategy = "mean"', 'strategy = "logit_mean"', 1)
        manifest.unlink()  # a link to the first one's
        manifest.write_text(changed, "utf-8")
    third = Repository(root).open(f"{ENSEMBLE}@3")
    (damaged, _), *_ = third.manifest.members[-1].files
    content = (third.folder / damaged).read_bytes()
    (third.folder / damaged).unlink()
    (third.folder / damaged).write_bytes(content[: len(content) // 2])
    versions = {Repository(root).open(f"{ENSEMBLE}@{one}").digest: one for one in ("1", "2", "3")}
    assert len(versions) == 3
    return versions


async def send(
    producer: AIOKafkaProducer, seen: Seen, rate: float, seconds: float, seed: int
) -> None:
    """Requests that come one by one at random moments, so many a second in the mean."""
    drawn, texts = random.Random(seed), short_texts(500)
    stored = []
    due_s, ends_s, number = time.monotonic(), time.monotonic() + seconds, 0
    while (due_s := due_s + drawn.expovariate(rate)) < ends_s:
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        seen.due_s[number] = due_s
        value = orjson.dumps({"id": f"reload-{number}", "text": texts[number % len(texts)]})
        key = str(number).encode()
        stored.append(await producer.send(REQUESTS, value, key=key))
        number += 1
    await asyncio.gather(*stored)


async def listen(consumer: AIOKafkaConsumer, seen: Seen) -> None:
    """Read responses until cancelled."""
    while True:
        for records in (await consumer.getmany(timeout_ms=100)).values():
            now_s = time.monotonic()
            for record in records:
                body = orjson.loads(record.value or b"{}")
                number = int(str(body["id"]).removeprefix("reload-"))
                seen.times[number] += 1
                seen.answered_s.setdefault(number, now_s)
                seen.manifests[number] = body.get("manifest") or ""
                if body["status"] != "ok":
                    seen.errors[body["status"]] += 1


async def act(settings: dict[str, str], seconds: float) -> list[dict[str, Any]]:
    """Promote, roll back, promote what is broken; what each command said, and when."""
    began_s, acts = time.monotonic(), []
    steps = (
        ("promote", "models", "promote", f"{ENSEMBLE}@2", "--no-verify"),
        ("rollback", "models", "rollback", ENSEMBLE),
        ("promote broken", "models", "promote", f"{ENSEMBLE}@3", "--no-verify"),
    )
    for number, (name, *words) in enumerate(steps, start=1):
        at_s = began_s + seconds * number / 4
        await asyncio.sleep(max(0.0, at_s - time.monotonic()))
        told_s = time.monotonic()
        done = await asyncio.to_thread(streamproc, *words, settings=settings)
        ended_s = time.monotonic()
        say(f"{name}: exit code {done.returncode}, {ended_s - told_s:.1f} s\n{done.stdout.strip()}")
        acts.append(
            {
                "name": name,
                "at_s": round(told_s - began_s, 1),
                "took_s": round(ended_s - told_s, 1),
                "code": done.returncode,
                "said": (done.stdout + done.stderr).strip(),
            }
        )
    return acts


def small_versions(root: Path) -> dict[str, str]:
    """The same of small graphs made by hand."""
    digests = versioned_models.write_versions(root, 1, 2, 3)
    versioned_models.spoil(root, 3)
    return {digest: version for version, digest in digests.items()}


async def run(
    rate: float, seconds: float, threads: int, seed: int, *, small: bool
) -> dict[str, Any]:
    """All of it, on a Kafka of its own."""
    with tempfile.TemporaryDirectory(prefix="streamproc-reloads-") as folder:
        models = Path(folder) / "models"
        shipped = read_settings().models_dir
        versions = small_versions(models) if small else write_versions(models, shipped)
        async with cluster() as kafka:
            settings = {"MODELS_DIR": str(models), "THREADS": str(threads)}
            name = "reloads"
            async with (
                group(
                    kafka.bootstrap_servers,
                    name,
                    kafka.folder,
                    settings=settings,
                    ready_within_s=300,
                ) as workers,
                reader(kafka.bootstrap_servers, [RESPONSES]) as responses,
                producing(kafka.bootstrap_servers) as producer,
            ):
                (worker,) = workers.workers
                say(f"a worker is ready; {rate:g} requests a second for {seconds:g} s")
                seen = Seen()
                listening = asyncio.create_task(listen(responses, seen))
                await send(producer, Seen(), rate, WARM_UP_S, seed + 1)
                warm_up = WARM_UP_S * rate
                await _quiet(seen, within_s=ANSWERED_WITHIN_S)
                say(f"warmed up: {sum(seen.times.values())} of about {warm_up:g} answered")
                for part in (seen.answered_s, seen.manifests, seen.times, seen.errors):
                    part.clear()
                began_s, rss_before = time.monotonic(), worker.peak_rss_mib()
                own = {
                    **settings,
                    "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
                    "GROUP_ID": name,
                }
                acting = asyncio.create_task(act(own, seconds))
                await send(producer, seen, rate, seconds, seed)
                acts = await acting
                async with asyncio.timeout(ANSWERED_WITHIN_S):
                    while len(seen.answered_s) < len(seen.due_s):  # noqa: ASYNC110 - Kafka's state
                        await asyncio.sleep(0.1)
                await _quiet(seen, within_s=2)
                listening.cancel()
                assert worker.exit_code is None
                rss = {"before": round(rss_before), "peak": round(worker.peak_rss_mib())}
                told = said_of_versions(worker.log, time.time() - (time.monotonic() - began_s))
    return {**_figures(seen, versions, began_s, acts, rss), "worker_said": told}


def said_of_versions(log: Path, began_at_s: float) -> list[dict[str, Any]]:
    """What the worker's log says of versions, and how many seconds after the load began."""
    lines = [orjson.loads(line) for line in log.read_bytes().splitlines() if line.startswith(b"{")]
    kept = ("event", "version", "loaded_in_s", "still_answering", "reason")
    return [
        {
            "at_s": round(datetime.fromisoformat(line["timestamp"]).timestamp() - began_at_s, 1),
            **{name: line[name] for name in kept if name in line},
        }
        for line in lines
        if str(line.get("event", "")).startswith("version ")
    ]


async def _quiet(seen: Seen, within_s: float) -> None:
    """Until a second has brought no response."""
    ends_s, before = time.monotonic() + within_s, -1
    while time.monotonic() < ends_s and sum(seen.times.values()) != before:
        before = sum(seen.times.values())
        await asyncio.sleep(1.0)


def _figures(
    seen: Seen,
    versions: dict[str, str],
    began_s: float,
    acts: Sequence[dict[str, Any]],
    rss: dict[str, int],
) -> dict[str, Any]:
    by_second: dict[int, list[float]] = defaultdict(list)
    served: dict[int, Counter[str]] = defaultdict(Counter)
    for number, due_s in seen.due_s.items():
        if number in seen.answered_s:
            second = int(due_s - began_s)
            by_second[second].append((seen.answered_s[number] - due_s) * 1000)
            served[second][versions.get(seen.manifests[number], "none")] += 1
    every = [ms for found in by_second.values() for ms in found]
    return {
        "requests": len(seen.due_s),
        "lost": len(seen.due_s.keys() - seen.answered_s.keys()),
        "answered_twice": sum(times > 1 for times in seen.times.values()),
        "errors": sum(seen.errors.values()),
        "versions": dict(Counter(versions.get(seen.manifests[n], "none") for n in seen.answered_s)),
        "latency_ms": _quantiles(every),
        "worker_rss_mib": rss,
        "acts": list(acts),
        "seconds": [
            {"second": second, **_quantiles(by_second[second]), "versions": dict(served[second])}
            for second in sorted(by_second)
        ],
    }


def _quantiles(found: Sequence[float]) -> dict[str, float]:
    ordered = sorted(found)
    at = {
        name: ordered[min(len(ordered) - 1, int(len(ordered) * share))]
        for name, share in (("p50", 0.5), ("p99", 0.99))
    }
    return {"count": len(ordered), **{n: round(v, 1) for n, v in at.items()}} | {
        "max": round(ordered[-1], 1)
    }


def draw(figures: dict[str, Any], file: Path) -> None:
    """Latency by second over which version answered, with each act marked."""
    from matplotlib.figure import Figure

    seconds = figures["seconds"]
    x = [one["second"] for one in seconds]
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for name in ("p50", "max"):
        above.plot(x, [one[name] for one in seconds], label=name)
    above.set_yscale("log")
    above.set_ylabel("from due to answered, ms")
    versions = sorted(figures["versions"])
    counts = [[one["versions"].get(v, 0) for one in seconds] for v in versions]
    below.stackplot(x, counts, labels=[f"version {v}" for v in versions], alpha=0.7)
    below.set_ylabel("answers/s")
    below.set_xlabel("second")
    marks = [(one["at_s"], one["name"], "--") for one in figures["acts"]]
    marks += [
        (one["at_s"], one["event"].removeprefix("version "), ":")
        for one in figures["worker_said"]
        if one["event"] != "version let go"
    ]
    for number, (at_s, name, style) in enumerate(marks):
        for axes in (above, below):
            axes.axvline(at_s, color="grey", linestyle=style, linewidth=0.8)
        top = 0.98 - 0.06 * (number // len(figures["acts"]))
        above.annotate(name, (at_s, top), xycoords=("data", "axes fraction"), fontsize=8, va="top")
    above.legend(loc="upper left", fontsize=8)
    below.legend(loc="upper left", fontsize=8)
    figure.savefig(file, dpi=150)


def main(
    rate: Annotated[float, typer.Option(min=1, help="requests a second")] = 200,
    seconds: Annotated[float, typer.Option(min=8, help="how long")] = 60,
    threads: Annotated[int, typer.Option(min=1, help="model threads of the worker")] = 2,
    seed: Annotated[int, typer.Option(help="of the moments that requests are sent at")] = 1,
    small: Annotated[bool, typer.Option("--small", help="small graphs made by hand")] = False,
    plot: Annotated[Path | None, typer.Option(help="picture to draw")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file for all figures")] = None,
) -> None:
    """Exchange versions under load, and count what is lost."""
    figures = asyncio.run(run(rate, seconds, threads, seed, small=small))
    if plot is not None:
        draw(figures, plot)
    codes = [one["code"] for one in figures["acts"]]
    good = (
        not (figures["lost"] or figures["answered_twice"] or figures["errors"])
        and set(figures["versions"]) == {"1", "2"}
        and codes == [0, 0, 1]
    )
    if out is not None:
        out.write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2) + b"\n")
    listed = ("seconds", "acts", "worker_said")
    shown = {name: found for name, found in figures.items() if name not in listed}
    tell("versions exchanged under load", {**shown, "exit_codes": codes}, good)


if __name__ == "__main__":
    typer.run(main)
