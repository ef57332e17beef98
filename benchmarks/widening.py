"""An ensemble as it would be without shared layers and int8: whole members, all numbers in fp32.

The weights are those that are shipped, widened, so that both ways answer almost alike and what they
cost can be compared at equal accuracy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import compose, numpy_helper

from benchmarks.measure import BenchmarkFailed
from streamproc.repository.repository import StoredEnsemble
from streamproc.serving.inference.members import Members
from streamproc.serving.inference.providers import choose_provider
from streamproc.serving.inference.session import OnnxSession
from streamproc.serving.inference.signature import HIDDEN_STATES
from streamproc.serving.tasks.catalogue import scoring_task_named

_MEMBER = "member/"


def whole_members(stored: StoredEnsemble) -> Members:
    """All members, each with its own copy of the layers that they share.

    Raises BenchmarkFailed where they share none.
    """
    manifest = stored.manifest
    if manifest.prefix is None:
        raise BenchmarkFailed(f"{stored.name} has no layers that its members share")
    task = scoring_task_named(manifest.task)
    prefix, provider = stored.prefix(manifest.prefix), choose_provider("cpu")
    sessions = [
        OnnxSession(
            member.name,
            whole(prefix, stored.model(member)),
            task.signature(len(member.labels)),
            provider,
        )
        for member in manifest.members
    ]
    return Members(sessions)


def whole(prefix: bytes, member: bytes) -> bytes:
    """One graph of the shared layers and a member behind them, in fp32."""
    before = widened(onnx.load_from_string(prefix))
    behind = widened(onnx.load_from_string(member))
    taken = {each.name for each in behind.graph.input} & {each.name for each in before.graph.input}
    outputs = [each.name for each in behind.graph.output]
    behind = compose.add_prefix(behind, _MEMBER)
    joined = compose.merge_models(before, behind, io_map=[(HIDDEN_STATES, _MEMBER + HIDDEN_STATES)])
    for name in taken:
        _take_from(joined.graph, _MEMBER + name, name)
    for name in outputs:
        _give(joined.graph, _MEMBER + name, name)
    onnx.checker.check_model(joined)
    content: bytes = joined.SerializeToString()
    return content


def widened(model: onnx.ModelProto) -> onnx.ModelProto:
    """A graph of int8 weights and quantized activations, in fp32 throughout."""
    graph = model.graph
    stored = {each.name: each for each in graph.initializer}
    names: dict[str, str] = {}
    kept = []
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in stored:
            numbers = _dequantized(node, stored)
            graph.initializer.append(numpy_helper.from_array(numbers, node.output[0]))
        elif node.op_type in {"QuantizeLinear", "DequantizeLinear"}:
            # An activation that is rounded and widened again: it passes as it is.
            names[node.output[0]] = names.get(node.input[0], node.input[0])
        else:
            kept.append(node)
    for node in kept:
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)
    ends = {each.name for each in graph.output} & names.keys()
    kept += [onnx.helper.make_node("Identity", [names[end]], [end]) for end in ends]
    del graph.node[:]
    graph.node.extend(kept)
    used = {name for node in kept for name in node.input}
    left = [each for each in graph.initializer if each.name in used]
    # Shapes that were noted for both halves may go by the same name and differ.
    del graph.value_info[:]
    del graph.initializer[:]
    graph.initializer.extend(left)
    return model


def _dequantized(node: onnx.NodeProto, stored: dict[str, onnx.TensorProto]) -> Any:
    """Numbers, scale and zero point, each for the whole tensor or along an axis, to fp32."""
    numbers, *of = (numpy_helper.to_array(stored[name]) for name in node.input)
    axis = next((each.i for each in node.attribute if each.name == "axis"), 1)
    if of[0].ndim:
        shape = [1] * numbers.ndim
        shape[axis] = -1
        of = [each.reshape(shape) for each in of]
    scale, *zero = (each.astype(np.float32) for each in of)
    return (numbers.astype(np.float32) - (zero[0] if zero else 0)) * scale


def _take_from(graph: onnx.GraphProto, name: str, instead: str) -> None:
    """Let every node that reads one input of the graph read another."""
    for node in graph.node:
        for place, each in enumerate(node.input):
            if each == name:
                node.input[place] = instead
    [only] = [each for each in graph.input if each.name == name]
    graph.input.remove(only)


def _give(graph: onnx.GraphProto, name: str, instead: str) -> None:
    """Give an output of the graph by another name."""
    for node in graph.node:
        for place, each in enumerate(node.output):
            if each == name:
                node.output[place] = instead
    for output in graph.output:
        if output.name == name:
            output.name = instead
