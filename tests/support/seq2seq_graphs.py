"""A small encoder-decoder as ONNX files, of the form that optimum gives them, right or wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.support.onnx_models import IR_VERSION, OPSET

SIZE = 8
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def encoder(
    vocabulary: int = 40,
    *,
    inputs: Sequence[str] = ("input_ids", "attention_mask"),
    output: str = "last_hidden_state",
    size: int = SIZE,
    divisor: float = 1.0,
) -> bytes:
    """A random vector for each token; divisor: what it is divided by, 0 makes it infinite."""
    nodes = [
        helper.make_node("Gather", ["table", inputs[0]], ["vectors"]),
        helper.make_node("Div", ["vectors", "divisor"], [output]),
    ]
    constants = [
        _constant("table", _random(0, vocabulary, size)),
        _constant("divisor", np.array([divisor], np.float32)),
    ]
    return _model(
        nodes,
        [_value(name, INT64, ("batch_size", "encoder_sequence_length")) for name in inputs],
        [_value(output, FLOAT, ("batch_size", "encoder_sequence_length", size))],
        constants,
    )


def decoder(
    vocabulary: int = 40,
    *,
    rename: tuple[str, str] = ("", ""),
    without: str = "",
    size: int | str = SIZE,
    seed: int = 1,
    batch_dependent: bool = False,
    positions: int = 512,
) -> bytes:
    """Scores tokens by what was read, in its order, and by the source as step 0 cached it.

    rename: a pattern for names of inputs and outputs, and what to call them instead
    without: an output to leave out
    batch_dependent: less the mean score of the whole batch
    positions: how many tokens it may read
    """
    past, source = "past_decoder_sequence_length", "encoder_sequence_length"
    cache = {f"{of}.{part}": of for of in ("decoder", "encoder") for part in ("key", "value")}
    nodes = [
        helper.make_node("Shape", ["past_key_values.0.decoder.key"], ["shape"]),
        helper.make_node("Gather", ["shape", "two"], ["length"]),
        helper.make_node("Gather", ["positions", "length"], ["position"]),
        helper.make_node("Gather", ["table", "input_ids"], ["word"]),
        helper.make_node("Add", ["word", "position"], ["read"]),
        helper.make_node("Unsqueeze", ["read", "one"], ["new"]),
        helper.make_node("Unsqueeze", ["encoder_hidden_states", "one"], ["states"]),
        helper.make_node("Cast", ["encoder_attention_mask"], ["seen"], to=FLOAT),
        # As in attention, a product of matrices: a sum over an axis adds up in another order.
        helper.make_node("Unsqueeze", ["seen", "one"], ["weights"]),
    ]
    for name, of in cache.items():
        here, there = f"past_key_values.0.{name}", f"present.0.{name}"
        if of == "decoder":
            # Halved at each step, so that the order of what was read makes a difference.
            nodes.append(helper.make_node("Mul", [here, "half"], [f"faded.{name}"]))
            nodes.append(helper.make_node("Concat", [f"faded.{name}", "new"], [there], axis=2))
        else:
            nodes.append(helper.make_node("Where", ["use_cache_branch", here, "states"], [there]))
    nodes += [
        helper.make_node("ReduceSum", ["present.0.decoder.key", "one_two"], ["told"], keepdims=0),
        helper.make_node("Squeeze", ["present.0.encoder.value", "one"], ["source"]),
        helper.make_node("MatMul", ["weights", "source"], ["sums"]),
        helper.make_node("Squeeze", ["sums", "one"], ["asked"]),
        helper.make_node("Mul", ["told", "asked"], ["matched"]),
        helper.make_node("Add", ["matched", "told"], ["felt"]),
        helper.make_node("MatMul", ["felt", "out"], ["scores"]),
    ]
    scores = "scores"
    if batch_dependent:
        nodes.append(helper.make_node("ReduceMean", [scores], ["mean"], axes=[0], keepdims=1))
        nodes.append(helper.make_node("Sub", [scores, "mean"], ["centred"]))
        scores = "centred"
    nodes.append(helper.make_node("Unsqueeze", [scores, "one"], ["logits"]))
    constants = [
        _constant("table", _random(seed, vocabulary, SIZE)),
        _constant("out", _random(seed + 1, SIZE, vocabulary)),
        _constant("half", np.array([0.5], np.float32)),
        _constant("positions", _random(seed + 2, positions, SIZE)),
        _constant("one", np.array([1], np.int64)),
        _constant("two", np.array([2], np.int64)),
        _constant("one_two", np.array([1, 2], np.int64)),
    ]
    inputs = [
        ("input_ids", INT64, ("batch_size", "decoder_sequence_length")),
        ("encoder_hidden_states", FLOAT, ("batch_size", source, SIZE)),
        ("encoder_attention_mask", INT64, ("batch_size", source)),
        ("use_cache_branch", TensorProto.BOOL, (1,)),
    ]
    outputs: list[tuple[str, int, tuple[str | int, ...]]] = [
        ("logits", FLOAT, ("batch_size", "decoder_sequence_length", vocabulary))
    ]
    for name, of in cache.items():
        length = past if of == "decoder" else source
        inputs.append((f"past_key_values.0.{name}", FLOAT, ("batch_size", 1, length, size)))
        outputs.append((f"present.0.{name}", FLOAT, ("batch_size", 1, f"{length} more", size)))
    pattern, instead = rename
    for node in nodes if pattern else ():
        node.input[:] = [re.sub(pattern, instead, name) for name in node.input]
        node.output[:] = [re.sub(pattern, instead, name) for name in node.output]
    given, made = [
        [
            _value(re.sub(pattern, instead, name) if pattern else name, kind, shape)
            for name, kind, shape in values
            if name != without
        ]
        for values in (inputs, outputs)
    ]
    return _model(nodes, given, made, constants)


def _random(seed: int, *shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _constant(name: str, value: np.ndarray[Any, Any]) -> Any:
    return numpy_helper.from_array(value, name)


def _value(name: str, kind: int, shape: Sequence[str | int]) -> Any:
    return helper.make_tensor_value_info(name, kind, list(shape))


def _model(nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: list[Any]) -> bytes:
    graph = helper.make_graph(nodes, "graph", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", OPSET)]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    return bytes(model.SerializeToString())
