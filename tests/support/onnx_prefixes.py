"""A small classifier in two files: what runs before all members, and a member behind it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.support.onnx_models import (
    IR_VERSION,
    OPSET,
    ROWS_AND_TOKENS,
    random_table,
    write_ensemble,
)


def prefix(vocabulary: int = 200, width: int = 2, *, seed: int = 0) -> bytes:
    """A random vector for each token: what `onnx_models.classifier` sums for the same seed."""
    table = random_table(vocabulary, width, seed)
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["hidden_states"])]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ROWS_AND_TOKENS)
        for name in ("input_ids", "attention_mask")
    ]
    outputs = [_states("hidden_states", width)]
    return _model(nodes, inputs, outputs, [numpy_helper.from_array(table, "table")])


def behind_backbone(width: int | str = 2, labels: int = 2, *, factor: float = 1.0) -> bytes:
    """Sums the states of each token that is not masked, times a factor; (rows, labels)."""
    constants = [
        numpy_helper.from_array(np.array([2], np.int64), "last"),
        numpy_helper.from_array(np.array([1], np.int64), "second"),
        numpy_helper.from_array(np.array([factor], np.float32), "factor"),
    ]
    nodes = [
        helper.make_node("Cast", ["attention_mask"], ["weights"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["weights", "last"], ["spread"]),
        helper.make_node("Mul", ["hidden_states", "spread"], ["seen"]),
        helper.make_node("ReduceSum", ["seen", "second"], ["sums"], keepdims=0),
        helper.make_node("Mul", ["sums", "factor"], ["logits"]),
    ]
    mask = helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ROWS_AND_TOKENS)
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("rows", labels))
    return _model(nodes, [_states("hidden_states", width), mask], [logits], constants)


def write_prefixed_ensemble(folder: Path, before: bytes, models: Sequence[bytes]) -> Path:
    """An ensemble of members behind a prefix, which lies where prefixes do; its manifest's path."""
    digest = hashlib.sha256(before).hexdigest()
    path = folder.parent / "prefixes" / f"{digest}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(before)
    return write_ensemble(folder, models, sections=f'[prefix]\nsha256 = "{digest}"')


def _states(name: str, width: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, (*ROWS_AND_TOKENS, width))


def _model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    constants: Sequence[onnx.TensorProto],
) -> bytes:
    graph = helper.make_graph(list(nodes), "prefixed", list(inputs), list(outputs), list(constants))
    opsets = [helper.make_opsetid("", OPSET)]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    return bytes(model.SerializeToString())
