"""`streamproc fit-ensemble` over ensembles of small graphs, as a user types it."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamproc.testing import build_tokenizer
from tests.support.command import streamproc
from tests.support.labelled_rows import ENTITIES, ENTITY_NAMES, QUESTION, feelings, written
from tests.support.onnx_models import classifier, write_ensemble
from tests.support.small_ensembles import write_small_ensembles

ROWS: dict[str, list[dict[str, Any]]] = {
    "feelings": feelings(["good", "bad", "the film", "a good film", "bad film"]),
    "entities": ENTITIES,
    "question-answering": [QUESTION],
    "translation-en-de": [{"src": "good film", "tgt": "guter Film"}],
    "generation": [{"text": "good film " * 60}],
}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    root = tmp_path / "models"
    write_small_ensembles(root)
    write_ensemble(root / "feelings", [classifier(seed=seed) for seed in (0, 1)])
    return root


def fit(models: Path, ensemble: str, *arguments: str | Path) -> Any:
    names = ENTITY_NAMES if ensemble == "entities" else ()
    return streamproc("fit-ensemble", ensemble, *names, *arguments, "--models-dir", models)


@pytest.mark.parametrize("ensemble", ROWS)
def test_a_way_is_chosen_written_and_answers(models: Path, tmp_path: Path, ensemble: str) -> None:
    manifest = models / ensemble / "manifest.toml"
    members = [one["name"] for one in tomllib.loads(manifest.read_text())["members"]]
    rows = written(tmp_path / "rows.jsonl", ROWS[ensemble])
    parts = [word for name in members for word in ("--part", f"{name}={rows}")]

    done = fit(models, ensemble, "--valid", rows, *parts)

    assert done.returncode == 0, done.stderr
    assert "gated, sharpness" in done.stdout
    found = tomllib.loads(manifest.read_text())
    assert found["combine"]["strategy"] in done.stdout
    gates = [path.name for path in (models / ensemble).glob("gate*.npy")]
    assert gates == ([found["gate"]["file"]] if "gate" in found else [])
    verified = streamproc("models", "verify", ensemble, "--models-dir", models)
    assert verified.returncode == 0, verified.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Name --valid FILE"),
        (["--valid", "ROWS", "--part", "m0"], "expected MEMBER=FILE"),
        (["--valid", "ROWS", "--part", "m0=ROWS"], "members are m0, m1"),
        (["--valid", "ROWS", "--part", "m0=ROWS", "--part", "m9=ROWS"], "name m0, m9"),
        (["--partitions", "nowhere"], "make the folder with"),
    ],
)
def test_what_can_not_be_fitted_is_said_in_a_line(
    models: Path, tmp_path: Path, arguments: list[str], told: str
) -> None:
    rows = written(tmp_path / "rows.jsonl", ROWS["feelings"])
    before = (models / "feelings/manifest.toml").read_bytes()

    done = fit(models, "feelings", *(word.replace("ROWS", str(rows)) for word in arguments))

    assert done.returncode == 2
    assert told in done.stderr
    assert (models / "feelings/manifest.toml").read_bytes() == before


def test_only_calibrated_anew_members_are_combined_as_before(models: Path, tmp_path: Path) -> None:
    manifest = models / "entities" / "manifest.toml"
    before = tomllib.loads(manifest.read_text())
    rows = written(tmp_path / "rows.jsonl", ROWS["entities"] * 40)

    done = fit(models, "entities", "--valid", rows, "--keep-combination")

    assert done.returncode == 0, done.stderr
    assert "as before" in done.stdout
    found = tomllib.loads(manifest.read_text())
    assert found["combine"]["strategy"] == before.get("combine", {}).get("strategy", "mean")
    assert [one.get("weight") for one in found["members"]] == [
        one.get("weight") for one in before["members"]
    ]


def test_a_gate_that_there_is_is_tried_without_what_it_was_made_of(
    models: Path, tmp_path: Path
) -> None:
    folder = models / "feelings"
    rows = written(tmp_path / "rows.jsonl", ROWS["feelings"])
    table = np.zeros((build_tokenizer().vocabulary_size, 2), np.float16)
    np.save(folder / "gate.npy", table)
    digest = hashlib.sha256((folder / "gate.npy").read_bytes()).hexdigest()
    manifest = folder / "manifest.toml"
    section = (
        f'[gate]\nfile = "gate.npy"\nsha256 = "{digest}"\nmembers = ["m0", "m1"]\nsharpness = 2.0\n'
    )
    manifest.write_text(manifest.read_text().replace("[[members]]", f"{section}\n[[members]]", 1))

    done = fit(models, "feelings", "--valid", rows)

    assert done.returncode == 0, done.stderr
    assert "gated, sharpness" in done.stdout


def test_validation_data_without_anything_to_find_choose_nothing(tmp_path: Path) -> None:
    models = tmp_path / "models"
    # Of labels that are all as likely the first is chosen: no member finds anything.
    nothing = [classifier(labels=3, per_token=True, divisor=1e30, seed=seed) for seed in (0, 1)]
    labels = ("O", "B-PER", "I-PER")
    manifest = write_ensemble(
        models / "entities", nothing, labels=labels, task="token-classification"
    )
    before = manifest.read_bytes()
    rows = written(tmp_path / "rows.jsonl", [{"tokens": ["a", "film"], "tags": ["O", "O"]}])

    done = streamproc("fit-ensemble", "entities", "--valid", rows, "--models-dir", models)

    assert done.returncode == 2
    assert "entity F1 is undefined on this data" in done.stderr
    assert manifest.read_bytes() == before
