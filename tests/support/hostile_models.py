"""ONNX graphs that nobody should open, and classifiers with something of that kind in them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, SparseTensorProto, TensorProto, helper, numpy_helper

from tests.support.onnx_models import IR_VERSION, OPSET, classifier

HUGE = 200_000_000_000
"""Numbers of four bytes: 800 GB."""

_LOCAL = "local"


def with_endless_loop() -> bytes:
    """A classifier whose last node but one goes on for ever."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["still_going"]),
            helper.make_node("Identity", ["carried"], ["carried_on"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("still_going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried_on", TensorProto.FLOAT, None),
        ],
    )
    model = onnx.load_from_string(classifier())
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "always"))
    last = model.graph.node[-1]
    looping = helper.make_node("Loop", ["", "always", last.input[0]], ["looped"], body=body)
    last.input[0] = "looped"
    model.graph.node.insert(len(model.graph.node) - 1, looping)
    return _bytes(model)


def with_custom_operator() -> bytes:
    """A classifier with an operator that only its author's library has."""
    model = onnx.load_from_string(classifier())
    model.graph.node.append(helper.make_node("Run", ["logits"], ["gone"], domain="evil.example"))
    model.opset_import.append(helper.make_opsetid("evil.example", 1))
    return _bytes(model)


def with_weights_at(location: str) -> bytes:
    """A classifier with a tensor that lies in another file, by the name the graph has for it."""
    tensor = TensorProto(name="apart", data_type=TensorProto.FLOAT, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return _with_tensor(tensor)


def with_huge_tensor() -> bytes:
    """A classifier with a tensor that claims 800 GB and has four numbers."""
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "huge")
    del tensor.dims[:]
    tensor.dims.append(HUGE)
    return _with_tensor(tensor)


def with_huge_sparse_tensor() -> bytes:
    """A classifier with a sparse tensor of one number, and of 800 GB once it is opened."""
    sparse = SparseTensorProto(dims=[HUGE])
    sparse.values.CopyFrom(numpy_helper.from_array(np.ones(1, np.float32), "sparse"))
    sparse.indices.CopyFrom(numpy_helper.from_array(np.zeros(1, np.int64), "places"))
    model = onnx.load_from_string(classifier())
    model.graph.sparse_initializer.append(sparse)
    return _bytes(model)


def with_doubling_functions(functions: int) -> bytes:
    """A classifier that calls a function of two calls of a function of two calls, and so on."""
    names = [f"f{number}" for number in range(functions)]
    return _with_functions([*pairwise(names), (names[-1], "")])


def with_function_that_calls_itself() -> bytes:
    """A classifier that calls a function which never comes to an end."""
    return _with_functions([("f0", "f0")])


def nested_graph(depth: int) -> bytes:
    """Graphs in branches of branches."""
    inner = _branch("innermost", [helper.make_node("Identity", ["x"], ["y"])])
    for number in range(depth):
        other = _branch("other", [helper.make_node("Identity", ["x"], ["y"])])
        choice = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=other)
        inner = _branch(f"branch {number}", [choice])
    return _bytes(helper.make_model(inner, ir_version=IR_VERSION))


def many_nodes(count: int) -> bytes:
    """A chain of so many nodes."""
    nodes = [helper.make_node("Neg", [f"n{n}"], [f"n{n + 1}"]) for n in range(count)]
    return _bytes(helper.make_model(_branch("chain", nodes), ir_version=IR_VERSION))


def _with_functions(calls: Sequence[tuple[str, str]]) -> bytes:
    """calls: each function's name, and what it calls twice; "" for an operator of ONNX's"""
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(_LOCAL, 1)]
    model = onnx.load_from_string(classifier())
    for name, called in calls:
        kind, domain = (called, _LOCAL) if called else ("Neg", "")
        nodes = [
            helper.make_node(kind, ["a"], ["b"], domain=domain),
            helper.make_node(kind, ["b"], ["c"], domain=domain),
        ]
        model.functions.append(helper.make_function(_LOCAL, name, ["a"], ["c"], nodes, opsets))
    model.opset_import.append(helper.make_opsetid(_LOCAL, 1))
    model.graph.node.append(helper.make_node("f0", ["logits"], ["called"], domain=_LOCAL))
    return _bytes(model)


def _with_tensor(tensor: Any) -> bytes:
    model = onnx.load_from_string(classifier())
    model.graph.initializer.append(tensor)
    model.graph.node.append(helper.make_node("Identity", [tensor.name], ["unused"]))
    return _bytes(model)


def _branch(name: str, nodes: Sequence[Any]) -> Any:
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    return helper.make_graph(nodes, name, [], outputs)


def _bytes(model: ModelProto) -> bytes:
    return bytes(model.SerializeToString())
