"""`streamproc profiles` over ensembles of small graphs, and files answered by what it chose."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import streamproc
from tests.support.labelled_rows import ENTITIES, ENTITY_NAMES, QUESTION, feelings, written
from tests.support.onnx_models import classifier, write_ensemble
from tests.support.small_ensembles import write_small_ensembles

TEXTS = ["good", "bad", "the film", "a good film", "bad film", "a bad film", "good good film"]
ROWS: dict[str, list[dict[str, Any]]] = {
    "feelings": feelings(TEXTS),
    "entities": ENTITIES,
    "question-answering": [QUESTION],
}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    root = tmp_path / "models"
    write_small_ensembles(root)
    write_ensemble(root / "feelings", [classifier(seed=seed) for seed in (0, 1, 2)])
    write_ensemble(root / "alone", [classifier(seed=0)])
    return root


@pytest.mark.parametrize("ensemble", ROWS)
def test_how_few_members_will_do_is_chosen_measured_and_written(
    models: Path, tmp_path: Path, ensemble: str
) -> None:
    rows = written(tmp_path / "rows.jsonl", ROWS[ensemble])
    names = ENTITY_NAMES if ensemble == "entities" else ()
    at = ("--models-dir", models)

    done = streamproc("profiles", ensemble, rows, *names, "--rounds", "1", "--write", *at)

    assert done.returncode == 0, done.stderr
    manifest = tomllib.loads((models / ensemble / "manifest.toml").read_text())
    section = manifest["profiles"]
    measured = {one["profile"]: one for one in section["measured"]}
    assert measured["full"]["speedup"] == 1
    assert measured["full"]["members"] == len(manifest["members"])
    assert measured["brown-out"]["members"] == 1
    if "cascade_margin" in section:
        cost = measured["full"]["value"] - measured["cascade"]["value"]
        assert cost <= 0.005 + 1e-4
    shown = streamproc("profiles", ensemble, *at)
    assert shown.returncode == 0, shown.stderr
    assert "brown-out" in shown.stdout
    verified = streamproc("models", "verify", ensemble, *at)
    assert verified.returncode == 0, verified.stderr


def test_a_file_is_answered_by_a_profile_and_a_changed_ensemble_needs_a_new_one(
    models: Path, tmp_path: Path
) -> None:
    rows, out = written(tmp_path / "rows.jsonl", ROWS["feelings"]), tmp_path / "out.jsonl"
    at = ("--models-dir", models)
    asked = ("run", rows, "--ensemble", "feelings", "--profile", "cascade", "-o", out, *at)

    choose = ("profiles", "feelings", rows, "--cost", "1", "--rounds", "1", "--write", *at)

    before, chosen, answered = streamproc(*asked), streamproc(*choose), streamproc(*asked)
    responses = [json.loads(line) for line in out.read_text().splitlines()]
    manifest = models / "feelings/manifest.toml"
    manifest.write_text(manifest.read_text().replace('strategy = "mean"', 'strategy = "vote"'))
    after = streamproc(*asked, "--fresh")

    codes = [done.returncode for done in (before, chosen, answered, after)]
    assert codes == [2, 0, 0, 2], (before.stderr, after.stderr)
    assert "streamproc profiles feelings DATA --write" in before.stderr
    assert {one["profile"] for one in responses} == {"cascade"}
    assert {member["status"] for one in responses for member in one["members"]} == {
        "ok", "skipped",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["alone", "ROWS"], "one member, which is always asked"),
        (["generation", "ROWS"], "write every token together"),
        (["feelings", "--write"], "--write needs DATA"),
        (["feelings", "ROWS", "--cost", "2"], "--cost"),
    ],
)
def test_what_has_no_profiles_is_said_in_a_line(
    models: Path, tmp_path: Path, arguments: list[str], told: str
) -> None:
    rows = written(tmp_path / "rows.jsonl", ROWS["feelings"])
    words = [word.replace("ROWS", str(rows)) for word in arguments]
    done = streamproc("profiles", *words, "--models-dir", models)
    assert done.returncode == 2
    assert told in done.stderr
