"""Two real ensembles, an experiment, and the truth of held-aside reviews as late feedback.

`python -m tests.acceptance.experiment_on_reviews --control OLD/models/sentiment --out build/shown`
serves an ensemble as version 1 and the shipped one as version 2, by default a copy of the shipped
one that is left with its first member. Every review of sentiment_open's test split, on which no
model was trained, is asked about once, by a key of its own: first with version 2 in the shadow of
version 1, then with half of the keys each. What is true of it is said afterwards, in another order.
`streamproc experiments report` is looked at after each quarter of the truth, and the last report is
written as JSON, a page and a picture.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from aiokafka import AIOKafkaConsumer

from streamproc.errors import SettingsError
from streamproc.repository.repository import Repository, StoredEnsemble
from streamproc.settings import read_settings
from tests.support.cluster import Cluster, cluster, group
from tests.support.command import streamproc
from tests.support.report import say, tell
from tests.support.texts import rows
from tests.support.topics import REQUESTS, RESPONSES, producing, reader

ENSEMBLE = "sentiment"
FEEDBACK = "nlp.text-classification.feedback.v1"
LABELS = ("negative", "positive")
LOOKS = 4
ANSWERED_WITHIN_S = 600
IN_FLIGHT = 8
FILES = (("json", "json"), ("html", "html"), ("plot", "png"))
EXPERIMENTS = {
    "in-the-shadow": ("--arm", ENSEMBLE, "--shadow", f"{ENSEMBLE}@2"),
    "by-halves": ("--arm", ENSEMBLE, "--arm", f"{ENSEMBLE}@2"),
}


def write_versions(root: Path, control: Path | None) -> None:
    """Version 1, the control, and version 2, the shipped ensemble, with the layers of both."""
    shipped = Repository(read_settings().models_dir).open(ENSEMBLE)
    copy(shipped, root / f"{ENSEMBLE}@2")
    if control is None:
        copy(shipped, root / ENSEMBLE)
        leave_first_member(root / ENSEMBLE / "manifest.toml")
    else:
        copy(Repository(control.parent).open(control.name), root / ENSEMBLE)
    for version in ("1", "2"):
        Repository(root).open(f"{ENSEMBLE}@{version}")


def copy(stored: StoredEnsemble, folder: Path) -> None:
    """An ensemble with the layers before its members, as a version in another folder of models."""
    shutil.copytree(stored.folder, folder)
    if stored.manifest.prefix is not None:
        path = stored.prefix_path(stored.manifest.prefix)
        (folder.parent / "prefixes").mkdir(exist_ok=True)
        shutil.copyfile(path, folder.parent / "prefixes" / path.name)


def leave_first_member(manifest: Path) -> None:
    """Cut all members but one out of a manifest."""
    head, first, *_ = manifest.read_text("utf-8").split("[[members]]")
    manifest.write_text(f"{head}[[members]]{first}", "utf-8")


class Scene:
    """A worker's group, and what is asked of it."""

    def __init__(self, kafka: Cluster, models: Path, reviews: Sequence[dict[str, Any]]) -> None:
        self._kafka = kafka
        self._reviews = reviews
        self._settings = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "GROUP_ID": "reviews",
            "MODELS_DIR": str(models),
        }

    async def experiments(self, *words: str) -> str:
        """What a command says, which has to go well."""
        done = await asyncio.to_thread(
            streamproc, "experiments", *words, settings=self._settings, timeout_s=600
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    async def ask(self, name: str, responses: AIOKafkaConsumer) -> int:
        """Ask about every review once; how many answers are errors."""
        order = random.Random(16).sample(range(len(self._reviews)), len(self._reviews))
        errors, answered, sent = 0, 0, 0
        async with (
            asyncio.timeout(ANSWERED_WITHIN_S),
            producing(self._kafka.bootstrap_servers) as producer,
        ):
            while answered < len(order):
                # A shadow gives way to requests, and is dropped where they leave it no time.
                for number in order[sent : answered + IN_FLIGHT]:
                    body = {"id": f"{name}-{number}", "text": self._reviews[number]["text"]}
                    key = f"reader-{number}".encode()
                    await producer.send(REQUESTS, orjson.dumps(body), key=key)
                    sent += 1
                for records in (await responses.getmany(timeout_ms=50)).values():
                    for record in records:
                        answer = orjson.loads(record.value or b"{}")
                        answered += answer["id"].startswith(f"{name}-")
                        errors += answer["status"] == "error"
        return errors

    async def look(self, name: str, out: Path) -> list[dict[str, Any]]:
        """Say the truth quarter by quarter, and what the report says after each."""
        order = random.Random(17).sample(range(len(self._reviews)), len(self._reviews))
        looks = []
        files = [f"--{kind}={out / name}.{ending}" for kind, ending in FILES]
        async with producing(self._kafka.bootstrap_servers) as producer:
            for part in range(LOOKS):
                for number in order[part::LOOKS]:
                    label = LABELS[self._reviews[number]["label"]]
                    body = {"id": f"{name}-{number}", "label": label}
                    await producer.send(FEEDBACK, orjson.dumps(body), key=body["id"].encode())
                await producer.flush()
                began_s = time.monotonic()
                shown = await self.experiments("report", name, *files)
                took_s = time.monotonic() - began_s
                found = orjson.loads((out / f"{name}.json").read_bytes())
                looks.append({**_figures(found), "report took s": round(took_s, 1)})
                say(f"{name}, look {part + 1}: {found['verdict']}")
        say(shown)
        return looks


def _figures(report: dict[str, Any]) -> dict[str, Any]:
    """Of one look, in a line."""
    (difference,) = [one for one in report["differences"] if one["outcome"] == "accuracy"]
    within = {name: difference["stratified"][name] for name in ("value", "low", "high", "p")}
    accuracies = {arm["name"]: arm["accuracy"] for arm in report["arms"]}
    return {
        "truths": report["feedback"]["joined"],
        **{name: round(100 * value, 2) for name, value in accuracies.items()},
        **{name: float(f"{value:.3g}") for name, value in within.items()},
        "decided": difference["is_decided"],
    }


async def run(control: Path | None, out: Path, threads: int) -> dict[str, Any]:
    """All of it, on a Kafka of its own."""
    reviews = list(rows("sentiment_open"))
    figures: dict[str, Any] = {"reviews": len(reviews), "errors": 0}
    with tempfile.TemporaryDirectory(prefix="streamproc-experiment-") as folder:
        models = Path(folder) / "models"
        models.mkdir()
        write_versions(models, control)
        settings = {"MODELS_DIR": str(models), "THREADS": str(threads)}
        async with (
            cluster() as kafka,
            group(
                kafka.bootstrap_servers,
                "reviews",
                kafka.folder,
                settings=settings,
                ready_within_s=300,
            ),
            reader(kafka.bootstrap_servers, [RESPONSES]) as responses,
        ):
            scene = Scene(kafka, models, reviews)
            for name, arms in EXPERIMENTS.items():
                say(await scene.experiments("start", name, *arms, "--no-verify"))
                began_s = time.monotonic()
                figures["errors"] += await scene.ask(name, responses)
                say(f"{name}: answered in {time.monotonic() - began_s:.0f} s")
                looks = await scene.look(name, out)
                figures[name] = {f"look {n}": one for n, one in enumerate(looks, start=1)}
                await scene.experiments("stop", name)
    return figures


def main(
    control: Annotated[
        Path | None,
        typer.Option(help="folder of an earlier `sentiment`, beside its prefixes; default: a copy"),
    ] = None,
    out: Annotated[Path, typer.Option(help="folder for reports")] = Path("build/experiment"),
    threads: Annotated[int, typer.Option(min=1, help="model threads of the worker")] = 2,
) -> None:
    """Find out which of two ensembles is better, by an experiment on held-aside reviews."""
    if read_settings().data is None:
        raise SettingsError("STREAMPROC_DATA is not set: it names the folder that has the reviews")
    out.mkdir(parents=True, exist_ok=True)
    figures = asyncio.run(run(control, out.resolve(), threads))
    last = [list(figures[name].values())[-1] for name in EXPERIMENTS]
    # Which is better is known beforehand of an earlier ensemble only; an interval that leaves the
    # better one out is wrong in any case.
    good = not figures["errors"] and all(one["high"] > 0 for one in last)
    tell("an experiment on held-aside reviews", figures, good)


if __name__ == "__main__":
    typer.run(main)
