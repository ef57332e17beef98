"""`streamproc.Scorer` where others run it: Ray, `datasets`. Its answers are those of `run`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import Any

import datasets
import orjson
import pytest

import streamproc
from tests.support.answers_of_run import answers_of_run
from tests.support.command import ROOT, environment
from tests.support.small_ensembles import write_small_ensembles

# A text that is none stands among good ones, and is nobody else's trouble.
TEXTS: list[Any] = [*(f"the good film {number}" for number in range(150)), None, "", "bad " * 400]
TASK = "text-classification"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_small_ensembles(folder, [TASK])
    return folder


@pytest.fixture(scope="module")
def answers(models: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What `streamproc run` makes of the texts, as columns."""
    place = tmp_path_factory.mktemp("run")
    requests = [{"text": text} for text in TEXTS]
    found = answers_of_run(TASK, models, "sentiment", requests, place, exits=(1,))
    return [as_columns(response) for response in found]


def as_columns(response: dict[str, Any]) -> dict[str, Any]:
    if response["status"] == "error":
        said = f"{response['error']['title']}: {response['error']['detail']}"
        return {"label": None, "score": None, "agreement": None, "error": said}
    result = response["result"]
    return {
        "label": result["label"],
        "score": result["score"],
        "agreement": response["agreement"],
        "error": "",
    }


def scorer(models: Path, **options: Any) -> streamproc.Scorer:
    settings = streamproc.Settings(models_dir=models, threads=1)
    keep = ["label", "score", "agreement"]
    return streamproc.Scorer("sentiment", settings=settings, keep=keep, **options)


def without_nan(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows whose numbers that are none are None, as arrays of numbers have no other."""
    return [
        {name: None if isinstance(one, float) and isnan(one) else one for name, one in row.items()}
        for row in rows
    ]


@pytest.mark.nightly
@pytest.mark.slow
def test_two_workers_of_ray_answer_as_run_does_and_so_do_tasks(
    models: Path, answers: list[dict[str, Any]], tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    (tmp_path / "texts.json").write_bytes(orjson.dumps(TEXTS))
    command = [sys.executable, "-m", "tests.support.ray_scoring", models, "sentiment"]
    command += [tmp_path / "texts.json", "--way", "workers:2", "--way", "instance"]

    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env=environment({}),
        capture_output=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    told = orjson.loads(done.stdout.splitlines()[-1])
    assert told["left"] == []
    for way in told["ways"]:
        rows = sorted(way["answers"], key=lambda row: row["row"])
        assert [row.pop("row") for row in rows] == list(range(len(TEXTS)))
        assert [row.pop("text") for row in rows] == TEXTS
        assert without_nan(rows) == answers


@pytest.mark.parametrize("form", ["arrow", "numpy", None])
def test_datasets_are_answered_as_by_run(
    form: str | None, models: Path, answers: list[dict[str, Any]]
) -> None:
    asked = datasets.Dataset.from_dict({"text": TEXTS, "row": list(range(len(TEXTS)))})

    mapped = asked.with_format(form).map(
        scorer(models), batched=True, batch_size=40, new_fingerprint=f"answered-{form}"
    )

    rows = list(mapped.with_format(None))
    assert [row.pop("row") for row in rows] == list(range(len(TEXTS)))
    assert [row.pop("text") for row in rows] == TEXTS
    assert without_nan(rows) == answers


@pytest.mark.slow
def test_processes_of_datasets_load_the_models_themselves(
    models: Path, answers: list[dict[str, Any]]
) -> None:
    asked = datasets.Dataset.from_dict({"text": TEXTS})
    score = scorer(models)
    # Loaded here already: a process that is forked from this one must not wait for its threads.
    score({"text": ["good"]})

    mapped = asked.map(score, batched=True, batch_size=20, num_proc=2, new_fingerprint="by-two")

    rows = list(mapped.remove_columns("text"))
    assert without_nan(rows) == answers
