"""A trained member as ONNX, and the proof that it answers like the torch model it came from."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from optimum.exporters.onnx import onnx_export_from_model
from transformers import BertForSequenceClassification

from streamproc.errors import TrainingError
from streamproc.training.examples import Batch
from streamproc.training.scoring import RunBatch

# The oldest with layer normalisation as one node, and an IR that every ONNX Runtime since 2023
# reads: an ensemble outlives the versions it was made with.
OPSET = 17
MAX_IR_VERSION = 10


def export_onnx(model: BertForSequenceClassification, path: Path) -> None:
    """Write the model as an fp32 ONNX graph.

    inputs:  input_ids, attention_mask, token_type_ids, each (windows, tokens) int64, both dynamic
    outputs: logits, (windows, labels) float32
    Raises TrainingError when the graph has other inputs or outputs.
    """
    with tempfile.TemporaryDirectory() as folder:
        onnx_export_from_model(
            model,
            folder,
            task="text-classification",
            opset=OPSET,
            do_validation=False,  # compare() does it, on real texts
        )
        graph = onnx.load(str(Path(folder) / "model.onnx"))
    graph.ir_version = min(graph.ir_version, MAX_IR_VERSION)
    expected = ({"input_ids", "attention_mask", "token_type_ids"}, {"logits"})
    found = ({i.name for i in graph.graph.input}, {o.name for o in graph.graph.output})
    if found != expected:
        raise TrainingError(f"The export has inputs and outputs {found}, expected {expected}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(graph, str(path))


def onnx_runner(path: Path) -> RunBatch:
    """Answers batches with the logits of an ONNX file, on the CPU, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(batch: Batch) -> NDArray[np.float32]:
        (logits,) = session.run(["logits"], onnx_inputs(batch))
        return np.asarray(logits, dtype=np.float32)

    return run


def onnx_inputs(batch: Batch) -> dict[str, NDArray[np.int64]]:
    """A batch under the names of the graph's inputs."""
    return {
        "input_ids": batch.input_ids,
        "attention_mask": batch.attention_mask,
        "token_type_ids": np.zeros_like(batch.input_ids),
    }


def largest_difference(one: RunBatch, other: RunBatch, batches: Iterable[Batch]) -> float:
    """The largest difference between two runners' logits, over all batches."""
    return max((float(np.abs(one(b) - other(b)).max()) for b in batches), default=0.0)


def rows_change_in_company(run: RunBatch, batches: Iterable[Batch]) -> int:
    """How many windows get other logits in their batch than alone and unpadded; 0 is what is asked.

    Compared to the bit: an answer must not depend on what a request happened to be batched with.
    """
    changed = 0
    for batch in batches:
        together = run(batch)
        for row, length in enumerate(batch.attention_mask.sum(axis=1)):
            one = slice(row, row + 1)
            alone = Batch(
                batch.input_ids[one, :length],
                batch.attention_mask[one, :length],
                batch.labels[one],
                batch.examples[one],
            )
            changed += run(alone).tobytes() != together[one].tobytes()
    return changed
