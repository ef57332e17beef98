"""Options of a training run: what is refused before anything is learned, and what is compared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streamproc.errors import SettingsError, TrainingError
from streamproc.offline.training.config import TrainConfig, differences
from streamproc.offline.training.search_space import Range

GIVEN: dict[str, Any] = {"ensemble": "mine", "corpus": ["films=a.jsonl"], "valid": ["b.jsonl"]}
WRITER = {"task": "text-generation", "layers": "3"}


def config(**options: Any) -> TrainConfig:
    return TrainConfig.read({**GIVEN, **options})


def test_asking_for_help_does_not_import_torch() -> None:
    program = (
        "import sys; import streamproc.cli.train\n"
        "assert not {'torch', 'transformers', 'tokenizers', 'onnxruntime'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ensemble": "../up"}, "--ensemble '../up': expected at most 64 lower-case letters"),
        ({"version": "1/2"}, "--version '1/2'"),
        ({"layers": "0,x"}, "--layers '0,x': expected numbers"),
        ({"epochs": 0}, "--epochs 0: input should be greater than or equal to 1"),
        ({"task": "summarization"}, "expected one of text-classification, token-classification"),
        ({"precision": "int8-dynamic"}, "another answer in another batch"),
        ({"precision": "bf16"}, "expected one of auto, fp32, fp16, int8, int8-weights"),
        ({"precision": "int4"}, "expected one of auto, fp32, fp16, int8, int8-weights"),
        ({"window": 32, "overlap": 17}, "--overlap 17: at most half of --window 32"),
        ({"task": "translation"}, "--layers '0,1': from scratch, say how many"),
        ({**WRITER, "precision": "fp16"}, "--precision fp16: not for this task"),
        ({**WRITER, "freeze_layers": 1}, "--freeze-layers"),
        ({**WRITER, "width": 100, "heads": 3}, "--width 100: expected a multiple"),
        ({"corpus": [["a"]]}, "--corpus"),
        ({"heads": "many"}, "--heads 'many'"),
        ({"colour": "red"}, "colour: no option of `streamproc train`"),
        ({"search": {"width": [1]}, "trials": 2}, "--search"),
        (
            {"search": {"batch": [16.5]}, "trials": 2},
            "--search: batch 16.5: input should be an integer",
        ),
        ({"search": {"batch": {"low": 8.0, "high": 64}}, "trials": 2}, "--search: batch 8.0"),
        (
            {"search": {"epochs": [0, 2]}, "trials": 2},
            "--search: epochs 0: input should be greater",
        ),
        ({"search": {"warmup": {"low": 0, "high": 2.0}}, "trials": 2}, "--search: warmup 2.0"),
        ({"search": {"learning_rate": [-0.1]}, "trials": 2}, "--search: learning_rate -0.1"),
        ({"seed": 2**32}, "--seed 4294967296: input should be less than or equal to 4294967295"),
    ],
)
def test_what_can_not_be_is_refused_with_the_flag_that_says_so(
    options: dict[str, Any], said: str
) -> None:
    with pytest.raises(TrainingError) as refused:
        config(**options)

    assert said in str(refused.value)


@pytest.mark.parametrize("precision", ["auto", "int8-weights", "fp32"])
def test_a_precision_of_every_task_is_taken(precision: str) -> None:
    assert config(**WRITER, precision=precision).precision == precision


def test_a_search_without_trials_is_refused() -> None:
    with pytest.raises(SettingsError, match="--trials"):
        config(search={"batch": [16, 32]})


def test_what_is_written_is_read_again_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = tmp_path / "space.toml"
    space.write_text("batch = [16, 32]\nlearning_rate = { low = 1e-5, high = 1e-3, log = true }\n")
    monkeypatch.chdir(tmp_path)

    once = config(trials=3, search=str(space), learning_rate=5e-3, base="base")
    written = once.written()

    assert written["corpus"] == [f"films={tmp_path / 'a.jsonl'}"]
    assert written["base"] == str(tmp_path / "base")
    assert TrainConfig.read(written) == once.located()
    # In the order of the file, in which values are drawn.
    assert list((once.search or {}).items()) == [
        ("batch", (16, 32)),
        ("learning_rate", Range(1e-5, 1e-3, log=True)),
    ]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "declares nothing"),
        ("width = [1]", "width: expected learning_rate, batch"),
        ("batch = []", "batch: expected"),
        ("batch = [true]", "batch: expected"),
        ("batch = { low = 2, high = 1 }", "batch: expected"),
        ("learning_rate = { low = 0.0, high = 1e-3, log = true }", "learning_rate: expected"),
        ("batch = [", "not readable as TOML"),
    ],
)
def test_a_search_file_that_declares_something_else_is_named(
    tmp_path: Path, written: str, said: str
) -> None:
    file = tmp_path / "space.toml"
    file.write_text(written)

    with pytest.raises(TrainingError, match=r"space\.toml") as refused:
        config(trials=1, search=str(file))

    assert said in str(refused.value)


def test_differences_are_those_that_decide_what_members_learn() -> None:
    then = config(epochs=3, heads=2).written()
    now = config(out="elsewhere", version="2", corpus=["moved.jsonl"]).written()

    assert differences(then, now) == [
        "started with --heads 2, now not given",
        "started with --epochs 3, now 4",
    ]
