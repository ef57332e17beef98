"""`streamproc models split` over small graphs, as a user types it."""

from __future__ import annotations

import errno
import json
import re
import tomllib
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from streamproc.repository.manifest import StageSection
from streamproc.settings import read_settings
from tests.support.command import streamproc
from tests.support.in_process import run
from tests.support.layered_graphs import Layered
from tests.support.onnx_models import write_ensemble
from tests.support.small_ensembles import write_small_ensembles

TEXTS = ["the good film", "bad film, " * 30, "good"]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A models folder with the ensemble "tone" of two members, each of four layers."""
    models = tmp_path / "models"
    write_ensemble(models / "tone", [Layered(seed=seed).model() for seed in (1, 2)])
    return models


def split(models: Path, *arguments: str | Path) -> CompletedProcess[str]:
    return streamproc("models", "split", *arguments, "--models-dir", models)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def results(models: Path, ensemble: str, *options: str) -> list[Any]:
    """What is answered to `TEXTS`, less what names the manifest and the time it took."""
    done = streamproc(
        *("run", "-", "--ensemble", ensemble, *options),
        *("--models-dir", models),
        stdin="\n".join(TEXTS),
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    kept = ("status", "result", "members", "agreement", "entropy", "coverage")
    return [{key: row[key] for key in kept} for row in rows]


def test_an_ensemble_in_stages_is_good_and_answers_as_the_whole_with_all_loaded_or_in_turn(
    models: Path,
) -> None:
    before = contents(models / "tone")

    done = split(models, "tone", "--stages", "3")

    assert done.returncode == 0, done.stderr
    assert "equal: scores differ from the whole's by 0 at most" in done.stdout
    assert contents(models / "tone") == before
    verified = streamproc("models", "verify", "--models-dir", models)
    assert "good tone-staged" in verified.stdout, verified.stdout
    expected = results(models, "tone")
    assert results(models, "tone-staged") == expected
    assert results(models, "tone-staged", "--max-resident-mb", "1") == expected


def test_stages_are_shown_with_their_sizes(models: Path) -> None:
    split(models, "tone", "--stages", "2")

    shown = streamproc("models", "show", "tone-staged", "--models-dir", models)
    as_json = streamproc("models", "show", "tone-staged", "--models-dir", models, "--json")

    assert shown.returncode == 0, shown.stderr
    assert "in 2 stages" in shown.stdout
    assert [len(m["stages"]) for m in json.loads(as_json.stdout)["members"]] == [2, 2]


@pytest.mark.nightly
def test_members_that_are_not_named_stay_whole(models: Path) -> None:
    done = split(models, "tone", "--stages", "2", "--member", "m1", "--as", "mixed")

    assert done.returncode == 0, done.stderr
    manifest = tomllib.loads((models / "mixed" / "manifest.toml").read_text("utf-8"))
    assert ["stages" in member for member in manifest["members"]] == [False, True]
    assert results(models, "mixed") == results(models, "tone")


@pytest.mark.nightly
def test_into_another_folder_goes_the_name_and_the_prefix_that_members_share(
    tmp_path: Path,
) -> None:
    shipped, out = read_settings().models_dir, tmp_path / "out"

    done = split(shipped, "sentiment", "--stages", "2", "--out", out)

    assert done.returncode == 0, done.stderr
    assert results(out, "sentiment") == results(shipped, "sentiment")


def test_a_decoder_with_a_cache_writes_the_same_in_stages(tmp_path: Path) -> None:
    models = tmp_path / "models"
    write_small_ensembles(models, ["text-generation"])

    done = split(models, "generation", "--stages", "2", "--as", "staged")

    assert done.returncode == 0, done.stderr
    said = []
    for ensemble in ("generation", "staged"):
        ran = streamproc(
            *("run", "-", "--task", "text-generation", "--ensemble", ensemble),
            *("--models-dir", models),
            stdin="the film\nbad",
        )
        assert ran.returncode == 0, ran.stderr
        said.append([json.loads(line)["result"] for line in ran.stdout.splitlines()])
    assert said[0] == said[1]


def test_a_file_is_cut_into_a_folder_and_its_part_of_a_manifest_is_printed(
    models: Path, tmp_path: Path
) -> None:
    out = tmp_path / "stages"

    done = split(models, models / "tone" / "m0.onnx", "--stages", "3", "--out", out)

    assert done.returncode == 0, done.stderr
    printed = tomllib.loads(f"[[members]]\n{done.stdout}")["members"][0]["stages"]
    stages = [StageSection.model_validate(stage) for stage in printed]
    assert [(out / stage.file).is_file() for stage in stages] == [True] * 3
    assert all((out / s.weights.file).stat().st_size == s.weights.size_bytes for s in stages)


def test_where_the_disk_is_full_nothing_of_a_file_s_stages_is_left(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("models", "split", str(models / "tone" / "m0.onnx"), "--stages", "3", "--out")

    def full(file: Path, *_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device", str(file))

    with monkeypatch.context() as patched:
        patched.setattr("streamproc.offline.splitting.model_splitter.sha256", full)
        failed = run(*asked, str(tmp_path / "out" / "stages"))

    assert failed.code == 2
    assert "No space left on device" in failed.said
    assert list((tmp_path / "out").iterdir()) == []
    assert run(*asked, str(tmp_path / "out" / "stages")).code == 0


def test_weights_that_were_changed_are_refused(models: Path) -> None:
    split(models, "tone", "--stages", "2", "--no-check")
    changed = models / "tone-staged" / "m0" / "1" / "stage-2.weights"
    changed.write_bytes(changed.read_bytes()[:-1] + b"\1")

    verified = streamproc("models", "verify", "tone-staged", "--models-dir", models)

    assert verified.returncode == 1
    assert "stage-2.weights is not the file the manifest names" in verified.stdout


def test_a_bound_that_is_too_small_says_the_least_that_works(tmp_path: Path) -> None:
    models = tmp_path / "models"
    write_ensemble(models / "tone", [Layered(widths=(16_384, 32)).model()])
    split(models, "tone", "--stages", "2")

    done = streamproc(
        *("run", "-", "--ensemble", "tone-staged", "--models-dir", models),
        *("--max-resident-mb", "1"),
        stdin="good",
    )

    assert done.returncode == 2
    assert "STREAMPROC_MAX_RESIDENT_MB=1; give at least 3" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tone", "--stages", "40"], "member m0: .* can be cut into 9 stages at most"),
        (["tone", "--stages", "2", "--member", "x"], "has no member x; it has m0, m1"),
        (["tone", "--stages", "2", "--as", "tone"], "is there already; give another name by --as"),
        (["tone", "--stages", "2", "--as", "no/name"], "can't be the name of an ensemble"),
        (["nonesuch", "--stages", "2"], "there are: tone"),
        (["nonesuch.onnx", "--stages", "2", "--out", "x"], "nonesuch.onnx is not a file"),
        (["x.onnx", "--stages", "2", "--as", "y"], "--as and --member are of ensembles"),
        (["x.onnx", "--stages", "2", "--member", "y"], "--as and --member are of ensembles"),
        (["nonesuch.onnx", "--stages", "2"], "by --out"),
    ],
)
def test_what_can_not_be_split_is_said_and_leaves_nothing_behind(
    models: Path, arguments: list[str], said: str
) -> None:
    before = contents(models)

    done = split(models, *arguments)

    assert done.returncode == 2
    assert re.search(said, " ".join(done.stderr.split())), done.stderr
    assert "Traceback" not in done.stderr
    assert contents(models) == before
    assert [path.name for path in models.iterdir()] == ["tone"]


def test_what_is_in_stages_or_an_encoder_decoder_is_refused(models: Path) -> None:
    split(models, "tone", "--stages", "2", "--no-check")
    write_small_ensembles(models, ["translation"])

    again = split(models, "tone-staged", "--stages", "2", "--as", "again")
    translation = split(models, "translation-en-de", "--stages", "2")

    assert (again.returncode, translation.returncode) == (2, 2)
    assert "member m0 is in 2 stages already; split the ensemble" in again.stderr
    assert "member m0 is an encoder-decoder" in translation.stderr
