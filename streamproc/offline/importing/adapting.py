"""Rewriting a graph so that it takes and gives what a worker's models do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx.compose
from onnx import TensorProto, helper

from streamproc.errors import ModelRefused
from streamproc.offline.importing.interface_gap import FLOATS, InterfaceGap
from streamproc.offline.importing.matching import IDS, MASK, TYPES
from streamproc.offline.importing.nodes import Nodes
from streamproc.offline.importing.onnx_file import OLDEST_OPSET, opset_of
from streamproc.offline.importing.output_kind import TWO_OF_ONE, as_logits
from streamproc.offline.importing.padding import lengthened

_INNER = "model/"
_AS_THEY_ARE = ("logits", "softmax")
_FILLER = {MASK: 0, TYPES: 0}


def adapt_graph(model: Any, gap: InterfaceGap) -> Any:
    """The graph with the worker's inputs, int64 of (rows, tokens), before and outputs behind it.

    The model's own nodes and weights stay as they are. Raises ModelRefused where its operators are
    too old to be mixed with those that are added.
    """
    if opset_of(model) < OLDEST_OPSET:
        raise ModelRefused(
            f"the model is written in opset {opset_of(model)}, and must be changed before a worker "
            f"can run it ({'; '.join(gap.differences)}): export it with opset {OLDEST_OPSET} or "
            "newer"
        )
    inner = onnx.compose.add_prefix(model, _INNER)
    before, behind = Nodes("before"), Nodes("behind")
    _feed(before, gap)
    ready = [_given(behind, inner, gap, role) for role in gap.outputs]
    graph = inner.graph
    own = list(graph.node)
    del graph.node[:]
    graph.node.extend([*before.nodes, *own, *behind.nodes])
    graph.initializer.extend([*before.constants, *behind.constants])
    del graph.input[:]
    for role in (IDS, MASK, *([TYPES] if TYPES in gap.inputs else [])):
        value = helper.make_tensor_value_info(role, TensorProto.INT64, ["rows", "tokens"])
        graph.input.append(value)
    del graph.output[:]
    graph.output.extend(ready)
    # In older files weights are inputs too.
    inner.ir_version = max(inner.ir_version, 4)
    return inner


def _feed(nodes: Nodes, gap: InterfaceGap) -> None:
    """Make the model's own inputs of the worker's."""
    padding = gap.padding
    names = {role: role for role in (*gap.inputs, MASK)}
    if gap.duplicate_single_row:
        names = _duplicate_single_row(nodes, names)
    if padding.changes_lengths:
        fillers = {names[role]: _FILLER.get(role, padding.token) for role in gap.inputs}
        filled = lengthened(nodes, names[MASK], fillers, padding)
        names = {role: filled[names[role]] for role in gap.inputs}
    elif gap.fills_padding:
        is_token = nodes.add("Cast", [names[MASK]], to=TensorProto.BOOL)
        filler = nodes.constant(np.array(padding.token))
        names[IDS] = nodes.add("Where", [is_token, names[IDS], filler])
    for role, value in gap.inputs.items():
        nodes.add("Cast", [names[role]], to=value.kind, output=_INNER + value.name)


def _duplicate_single_row(nodes: Nodes, names: Mapping[str, str]) -> dict[str, str]:
    """Where there is one row, give it twice."""
    zero, one, two = (nodes.constant(np.array(number)) for number in range(3))
    rows = nodes.add("Gather", [nodes.add("Shape", [IDS]), zero])
    numbers = nodes.add("Range", [zero, nodes.add("Max", [rows, two]), one])
    chosen = nodes.add("Min", [numbers, nodes.add("Sub", [rows, one])])
    return {role: nodes.add("Gather", [name, chosen], axis=0) for role, name in names.items()}


def _given(nodes: Nodes, inner: Any, gap: InterfaceGap, role: str) -> Any:
    """Make a worker's output of the model's own; returns what the graph says of it."""
    value, own_kind = gap.outputs[role], gap.output_kind(role)
    logits = as_logits(nodes, inner, value, _INNER + value.name, own_kind)
    if gap.duplicate_single_row:
        first = nodes.constant(np.array([0]))
        rows = nodes.add("Gather", [nodes.add("Shape", [IDS]), first])
        logits = nodes.add("Slice", [logits, first, rows, first])
    kind = value.kind if value.kind in FLOATS and own_kind in _AS_THEY_ARE else TensorProto.FLOAT
    nodes.add("Cast", [logits], to=kind, output=role)
    sizes: list[int | str | None] = ["rows", *value.sizes[1:]]
    if own_kind in TWO_OF_ONE:
        sizes = [*(sizes[:-1] if len(sizes) > 1 else sizes), 2]
    elif len(sizes) == 1:
        sizes.append(1)
    return helper.make_tensor_value_info(role, kind, sizes)
