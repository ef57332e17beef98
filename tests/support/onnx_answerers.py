"""Small models with start and end logits as ONNX files, with and without token types."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.support.onnx_models import IR_VERSION, OPSET, ROWS_AND_TOKENS


def answerer(
    vocabulary: int = 200,
    types: int = 2,
    *,
    seed: int = 0,
    outputs: tuple[str, ...] = ("start_logits", "end_logits"),
) -> bytes:
    """Logits of a token are a random function of it and of its type.

    types: how many token types there are; 0: no input for them, as RoBERTa's have none
    outputs: of (rows, tokens) each
    """
    random = np.random.default_rng(seed)
    tables = {"words": (vocabulary, len(outputs)), "kinds": (max(1, types), len(outputs))}
    constants = [
        numpy_helper.from_array((2 * random.normal(size=shape)).astype(np.float32), name)
        for name, shape in tables.items()
    ]
    constants.append(numpy_helper.from_array(np.array([2], np.int64), "last"))
    nodes = [
        helper.make_node("Gather", ["words", "input_ids"], ["logits"]),
    ]
    inputs = ["input_ids", "attention_mask"]
    summed = "logits"
    if types:
        inputs.append("token_type_ids")
        nodes.append(helper.make_node("Gather", ["kinds", "token_type_ids"], ["of_kinds"]))
        nodes.append(helper.make_node("Add", ["logits", "of_kinds"], ["typed"]))
        summed = "typed"
    parts = [f"part{number}" for number in range(len(outputs))]
    nodes.append(helper.make_node("Split", [summed], parts, axis=2))
    nodes += [
        helper.make_node("Squeeze", [part, "last"], [output])
        for part, output in zip(parts, outputs, strict=True)
    ]
    graph = helper.make_graph(
        nodes,
        "answerer",
        [helper.make_tensor_value_info(n, TensorProto.INT64, ROWS_AND_TOKENS) for n in inputs],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, ROWS_AND_TOKENS) for n in outputs],
        constants,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    return bytes(model.SerializeToString())
