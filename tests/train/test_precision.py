from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

pytest.importorskip("optimum")

from streamproc.errors import TrainingError
from streamproc.offline.training.precision import choose
from streamproc.offline.training.training_task import Metrics

pytestmark = pytest.mark.train


def write(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())


def metrics(**reached: float | None) -> Callable[[Sequence[Path]], Metrics]:
    """By precision, what a form reaches; none: its answers depend on the batch."""

    def evaluate(files: Sequence[Path]) -> Metrics:
        _, _, precision = files[0].stem.partition("-")
        found = reached[precision.replace("-", "_") or "fp32"]
        if found is None:
            raise TrainingError("another answer in a batch than alone")
        return Metrics(0.1, {"accuracy": found})

    return evaluate


@pytest.fixture
def fp32(tmp_path: Path) -> list[Path]:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"graph")
    return [path]


ENCODERS = {"int8": write, "int8-weights": write, "fp16": write}


def test_the_smallest_form_that_loses_little_is_exported(fp32: list[Path]) -> None:
    whole, form = choose("auto", fp32, ENCODERS, metrics(fp32=0.9, int8=0.8951))

    assert (form.precision, form.files[0].name) == ("int8", "model-int8.onnx")
    assert form.metrics.metrics["accuracy"] == 0.8951
    assert whole.metrics["accuracy"] == 0.9


def test_what_loses_more_or_depends_on_its_batch_is_passed_over_and_said(fp32: list[Path]) -> None:
    evaluate = metrics(fp32=0.9, int8=0.894, int8_weights=None, fp16=0.9)

    _, form = choose("auto", fp32, ENCODERS, evaluate)

    assert form.precision == "fp16"
    assert form.why == [
        "not int8: it loses 0.60 points",
        "not int8-weights: another answer in a batch than alone",
    ]


def test_where_every_other_form_loses_fp32_is_exported(fp32: list[Path]) -> None:
    _, form = choose("auto", fp32, {"int8-weights": write}, metrics(fp32=0.9, int8_weights=0.5))

    assert (form.precision, form.files) == ("fp32", fp32)


def test_what_is_asked_for_is_exported_whatever_it_loses_but_not_what_fails(
    fp32: list[Path],
) -> None:
    evaluate = metrics(fp32=0.9, int8=0.5, fp16=None)

    assert choose("int8", fp32, ENCODERS, evaluate)[1].precision == "int8"
    assert choose("fp32", fp32, ENCODERS, evaluate)[1].precision == "fp32"
    with pytest.raises(TrainingError, match="than alone"):
        choose("fp16", fp32, ENCODERS, evaluate)
    with pytest.raises(TrainingError, match="it can be auto, int8-weights, fp32"):
        choose("int8", fp32, {"int8-weights": write}, evaluate)
