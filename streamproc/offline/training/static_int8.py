"""Static int8 quantisation, calibrated on texts of the member's own part of the corpus."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from streamproc.serving.inference.batch import Batch
from streamproc.serving.inference.signature import HIDDEN_STATES


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, batches: Iterable[Batch]) -> None:
        self._inputs: Iterator[dict[str, NDArray[Any]]] = map(_inputs, batches)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        return next(self._inputs, None)


def _inputs(batch: Batch) -> dict[str, NDArray[Any]]:
    """A batch under the names of the graph's inputs."""
    if batch.hidden is not None:
        return {HIDDEN_STATES: batch.hidden, "attention_mask": batch.mask}
    ids, mask, type_ids = batch.ids, batch.mask, batch.type_ids
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": type_ids}


def quantise(source: Path, target: Path, calibration: Iterable[Batch]) -> None:
    """Write an int8 copy of an fp32 ONNX graph: QDQ, weights per channel, activations by range.

    Static, because with ranges taken from each batch (dynamic) a text's answer would depend on its
    batch. Matrix products of two activations (attention) stay fp32: they hold no weights.
    Weights have seven bits, because on CPUs without VNNI two eight-bit products overflow the
    sixteen bits they are added in, and the answer would depend on the CPU.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            target,
            _Calibration(calibration),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["MatMul", "Gemm", "Gather"],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={
                "MatMulConstBOnly": True,
                "OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm"],
            },
        )
