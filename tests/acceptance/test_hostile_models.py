"""Models folders and models that somebody made to hang or fill the machine: a sentence each."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from streamproc.testing import tokenizer_json
from tests.support.command import streamproc
from tests.support.hostile_models import (
    with_custom_operator,
    with_doubling_functions,
    with_endless_loop,
    with_huge_sparse_tensor,
    with_huge_tensor,
    with_weights_at,
)
from tests.support.onnx_models import classifier, write_ensemble

GRAPHS: dict[str, Callable[[], bytes]] = {
    "endless": with_endless_loop,
    "custom": with_custom_operator,
    "doubling": lambda: with_doubling_functions(40),
    "huge": with_huge_tensor,
    "sparse": with_huge_sparse_tensor,
    "elsewhere": lambda: with_weights_at("/etc/passwd"),
}


def to_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def to_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def to_file_outside(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A models folder of one good ensemble among many that are not."""
    for name, graph in GRAPHS.items():
        write_ensemble(tmp_path / name, [graph()])
    for name, make in (("pipe", to_pipe), ("device", to_device), ("outside", to_file_outside)):
        write_ensemble(tmp_path / name, [classifier()])
        make(tmp_path / name / "m0.onnx")
    write_ensemble(tmp_path / "good", [classifier()])
    return tmp_path


def test_verify_refuses_each_hostile_model_in_a_line_and_takes_the_good_one(hostile: Path) -> None:
    shown = streamproc(
        "models", "verify", "--models-dir", hostile, settings={"CALL_TIMEOUT_S": "0.5"}
    )

    assert shown.returncode == 1, shown.stderr
    refused = {
        line.split()[1].rstrip(":") for line in shown.stdout.splitlines() if "refused" in line
    }
    assert refused == {*GRAPHS, "pipe", "device", "outside"}
    assert len(shown.stdout.splitlines()) == len(refused) + 1
    assert "good good" in shown.stdout
    assert "root:" not in shown.stdout  # nothing of the file outside


@pytest.mark.parametrize("make", [to_pipe, to_device, to_file_outside])
def test_a_manifest_that_is_no_file_of_its_folder_ends_in_one_sentence(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    write_ensemble(tmp_path / "tiny", [classifier()])
    make(tmp_path / "tiny" / "manifest.toml")

    for command in ("list", "verify"):
        shown = streamproc("models", command, "--models-dir", tmp_path)
        assert shown.returncode in {1, 2}
        assert "Traceback" not in shown.stderr
        assert len((shown.stderr + shown.stdout).splitlines()) == 1


@pytest.mark.parametrize("name", ["model.onnx", "config.json", "tokenizer.json"])
def test_what_is_imported_is_not_waited_for(tmp_path: Path, name: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "model.onnx").write_bytes(classifier())
    (source / "tokenizer.json").write_bytes(tokenizer_json())
    (source / "config.json").write_text("{}", "utf-8")
    to_pipe(source / name)

    shown = streamproc(
        "models", "import", source, "--ensemble", "x", "--out", tmp_path / "models",
        "--task", "text-classification",
    )  # fmt: skip

    assert shown.returncode == 2
    assert "Traceback" not in shown.stderr
    assert not (tmp_path / "models").exists()
