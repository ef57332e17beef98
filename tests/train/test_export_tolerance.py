"""An export is held against torch by what float32 can hold, and a wrong one is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from streamproc.errors import TrainingError
from streamproc.serving.verification.parity import allowed_difference, require_parity
from tests.support.model_families import save_model

pytestmark = pytest.mark.train
pytest.importorskip("optimum")

# Weights that make logits of tens, and layers that amplify every rounding.
LOUD: list[tuple[str, str, dict[str, Any]]] = [
    ("bert", "text-classification", {"initializer_range": 3.0}),
    ("gpt2", "text-generation", {"initializer_range": 1.0}),
    ("t5", "translation", {"initializer_factor": 3.0}),
]


@pytest.mark.parametrize(("model_type", "task", "loud"), LOUD)
def test_a_model_of_large_logits_is_exported_and_one_wrong_weight_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model_type: str,
    task: str,
    loud: dict[str, Any],
) -> None:
    from streamproc.offline.training import exporting, hugging_face

    source = save_model(model_type, task, tmp_path / "source", **loud)
    (tmp_path / "right").mkdir()
    (tmp_path / "wrong").mkdir()
    hugging_face.export_folder(source, task, tmp_path / "right")

    export = exporting.export

    def break_one(model: Any, optimum_task: str, folder: Path) -> None:
        export(model, optimum_task, folder)
        path = next(path for name in NAMES if (path := folder / name).is_file())
        _break_one_weight(path)

    monkeypatch.setattr(hugging_face, "export", break_one)
    with pytest.raises(TrainingError, match=r"logits .* from torch's.* rounding in float32"):
        hugging_face.export_folder(source, task, tmp_path / "wrong")


NAMES = ("model.onnx", "decoder_model_merged.onnx")


def _break_one_weight(path: Path) -> None:
    """Make one number of the largest matrix ten times the largest there is."""
    model = onnx.load(str(path))
    matrices = [w for w in model.graph.initializer if len(w.dims) == 2 and w.data_type == 1]
    largest = max(matrices, key=lambda weight: int(np.prod(weight.dims)))
    values = numpy_helper.to_array(largest).copy()
    values[1, 1] = 10 * np.abs(values).max()
    largest.CopyFrom(numpy_helper.from_array(values, largest.name))
    onnx.save(model, str(path))


def test_what_float32_can_hold_grows_with_the_logits_and_with_torchs_own_error() -> None:
    small, large = np.array([0.5]), np.array([40.0, -3.0])
    assert allowed_difference(small) == pytest.approx(1e-4)
    assert allowed_difference(large) == pytest.approx(4e-3)
    assert allowed_difference(large, own_error=0.03) == pytest.approx(0.304)
    require_parity("logits", 3.9e-3, large)
    with pytest.raises(TrainingError, match=r"0\.0041 from torch's; the largest is 40"):
        require_parity("logits", 4.1e-3, large)
    with pytest.raises(TrainingError, match="nan"):
        require_parity("logits", float("nan"), large)
