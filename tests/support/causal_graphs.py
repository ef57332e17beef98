"""A small decoder with a cache as ONNX, of the form that optimum gives them, right or wrong."""

from __future__ import annotations

import re

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.support.onnx_models import IR_VERSION, OPSET

SIZE = 8
FLOAT, FLOAT16, INT64 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64
PAST = "past_sequence_length"


def causal(
    vocabulary: int = 40,
    *,
    rename: tuple[str, str] = ("", ""),
    without: str = "",
    extra_input: str = "",
    rows: str | int = "batch_size",
    size: str | int = SIZE,
    positions: int = 512,
    batch_dependent: bool = False,
    divisor: float = 1.0,
    seed: int = 1,
) -> bytes:
    """Scores tokens by what was read and where; a weighted sum over its cache, as in attention.

    rename:          a pattern for names of inputs and outputs, and what to call them instead
    without:         an input that takes no part, or an output to leave out
    positions:       how many tokens it may read
    batch_dependent: less the mean score of the whole batch
    divisor:         what scores are divided by; 0 makes them infinite
    """
    position = "position_ids" if without != "position_ids" else "zero"
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["words"]),
        helper.make_node("Gather", ["places", position], ["place"]),
        helper.make_node("Mul", ["words", "place"], ["read"]),
        helper.make_node("Unsqueeze", ["read", "one"], ["new"]),
        *(
            helper.make_node(
                "Concat",
                [f"past_key_values.0.{part}", "new"],
                [f"present.0.{part}"],
                axis=2,
            )
            for part in ("key", "value")
        ),
        helper.make_node("Cast", ["attention_mask"], ["seen"], to=FLOAT),
        helper.make_node("Unsqueeze", ["seen", "one_three"], ["weights"]),
        helper.make_node("Mul", ["weights", "present.0.key"], ["weighted"]),
        helper.make_node("CumSum", ["weighted", "two"], ["so_far"]),
        helper.make_node("Shape", ["input_ids"], ["tokens"], start=1),
        helper.make_node("Neg", ["tokens"], ["first_new"]),
        helper.make_node("Slice", ["so_far", "first_new", "end", "twos"], ["attended"]),
        helper.make_node("Squeeze", ["attended", "one"], ["told"]),
        helper.make_node("Div", ["told", "divisor"], ["felt"]),
        helper.make_node("MatMul", ["felt", "out"], ["scores"]),
    ]
    if batch_dependent:
        nodes.append(helper.make_node("ReduceMean", ["scores"], ["mean"], axes=[0], keepdims=1))
        nodes.append(helper.make_node("Sub", ["scores", "mean"], ["logits"]))
    else:
        nodes.append(helper.make_node("Identity", ["scores"], ["logits"]))
    random = np.random.default_rng(seed)
    constants = {
        "table": random.normal(size=(vocabulary, SIZE)).astype(np.float32),
        "places": random.normal(size=(positions, SIZE)).astype(np.float32),
        "out": random.normal(size=(SIZE, vocabulary)).astype(np.float32),
        "divisor": np.array([divisor], np.float32),
        "one": np.array([1], np.int64),
        "one_three": np.array([1, 3], np.int64),
        "two": np.array(2, np.int64),
        "twos": np.array([2], np.int64),
        "end": np.array([np.iinfo(np.int64).max], np.int64),
        "zero": np.zeros((1, 1), np.int64),
    }
    cache = {f"0.{part}": (rows, 1, PAST, size) for part in ("key", "value")}
    inputs = [
        ("input_ids", INT64, (rows, "sequence_length")),
        ("attention_mask", INT64, (rows, f"{PAST} + sequence_length")),
        ("position_ids", INT64, (rows, "sequence_length")),
        *((f"past_key_values.{name}", FLOAT, shape) for name, shape in cache.items()),
        *([(extra_input, INT64, (rows, "sequence_length"))] if extra_input else []),
    ]
    outputs: list[tuple[str, int, tuple[str | int, ...]]] = [
        ("logits", FLOAT, (rows, "sequence_length", vocabulary)),
        *((f"present.{name}", FLOAT, (rows, 1, f"{PAST} + 1", size)) for name in cache),
    ]
    pattern, instead = rename

    def called(name: str) -> str:
        return re.sub(pattern, instead, name) if pattern else name

    for node in nodes:
        node.input[:] = [called(name) for name in node.input]
        node.output[:] = [called(name) for name in node.output]
    given, made = (
        [
            helper.make_tensor_value_info(called(name), kind, list(shape))
            for name, kind, shape in values
            if name != without
        ]
        for values in (inputs, outputs)
    )
    graph = helper.make_graph(
        nodes,
        "graph",
        given,
        made,
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    return bytes(model.SerializeToString())
