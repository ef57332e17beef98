"""Rewriting a graph so that it takes and gives what a worker's models do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx.compose
from onnx import TensorProto, helper

from streamproc.errors import ModelRefused
from streamproc.importing.graph import OLDEST_OPSET, Value, opset_of
from streamproc.importing.matching import IDS, MASK, TYPES
from streamproc.importing.nodes import Nodes
from streamproc.importing.padding import Padding, padded_to_length
from streamproc.importing.scores import TWO_OF_ONE, Reading, as_logits

_INNER = "model/"
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)
_AS_THEY_ARE = ("logits", "softmax")
_FILLER = {MASK: 0, TYPES: 0}


@dataclass(frozen=True, slots=True)
class Form:
    """How a graph differs from what a worker runs.

    inputs:   the graph's inputs by the worker's names
    outputs:  its outputs by the worker's names
    readings: what each output's scores are, where they are no logits
    """

    inputs: Mapping[str, Value]
    outputs: Mapping[str, Value]
    readings: Mapping[str, Reading]
    padding: Padding

    @property
    def differences(self) -> list[str]:
        """What has to be changed, a line each; none where the graph can be run as it is."""
        found = [
            f"{role} is {value.name}, {value.type_name}"
            for role, value in self.inputs.items()
            if value.name != role or value.kind != TensorProto.INT64
        ]
        padding = self.padding
        if padding.length is not None:
            found.append(
                f"padded to {padding.length} tokens with id {padding.token}, on the {padding.side}"
            )
        elif MASK not in self.inputs and padding.token:
            found.append(f"padded with id {padding.token}")
        if MASK not in self.inputs:
            found.append("takes no attention_mask")
        for role, value in self.outputs.items():
            said = _SAID.get(self.reading(role), "")
            if value.name != role or value.kind not in _FLOATS or said:
                found.append(f"{role} from {value.name}, {value.type_name}{said and ': '}{said}")
        return found

    def reading(self, role: str) -> Reading:
        """What the scores of an output are; logits where nothing was said."""
        return self.readings.get(role, "logits")


_SAID: dict[Reading, str] = {
    "one logit": "one score, of the second label",
    "softmax": "what goes into its softmax",
    "sigmoid": "what goes into its sigmoid, of the second label",
    "probabilities": "the logarithm of probabilities",
    "one probability": "the logarithm of one probability, of the second label",
}


def adapted(model: Any, form: Form) -> Any:
    """The graph with the worker's inputs, int64 of (rows, tokens), before and outputs behind it.

    The model's own nodes and weights stay as they are. Raises ModelRefused where its operators are
    too old to be mixed with those that are added.
    """
    if opset_of(model) < OLDEST_OPSET:
        raise ModelRefused(
            f"the model is written in opset {opset_of(model)}, and must be changed before a worker "
            f"can run it ({'; '.join(form.differences)}): export it with opset {OLDEST_OPSET} or "
            "newer"
        )
    inner = onnx.compose.add_prefix(model, _INNER)
    before, behind = Nodes("before"), Nodes("behind")
    _feed(before, form)
    ready = {
        role: _given(behind, inner, form.outputs[role], form.reading(role), role)
        for role in form.outputs
    }
    graph = inner.graph
    own = list(graph.node)
    del graph.node[:]
    graph.node.extend([*before.nodes, *own, *behind.nodes])
    graph.initializer.extend([*before.constants, *behind.constants])
    del graph.input[:]
    for role in (IDS, MASK, *([TYPES] if TYPES in form.inputs else [])):
        value = helper.make_tensor_value_info(role, TensorProto.INT64, ["rows", "tokens"])
        graph.input.append(value)
    del graph.output[:]
    graph.output.extend(ready.values())
    # In older files weights are inputs too.
    inner.ir_version = max(inner.ir_version, 4)
    return inner


def _feed(nodes: Nodes, form: Form) -> None:
    """Make the model's own inputs of the worker's."""
    padding = form.padding
    names = {role: role for role in form.inputs}
    if padding.length is not None:
        fillers = {role: _FILLER.get(role, padding.token) for role in form.inputs}
        padded_to_length(nodes, MASK, fillers, padding)
        names = {role: f"{role}/padded" for role in form.inputs}
    elif MASK not in form.inputs and padding.token:
        is_token = nodes.add("Cast", [MASK], to=TensorProto.BOOL)
        filler = nodes.constant(np.array(padding.token))
        names[IDS] = nodes.add("Where", [is_token, IDS, filler])
    for role, value in form.inputs.items():
        nodes.add("Cast", [names[role]], to=value.kind, output=_INNER + value.name)


def _given(nodes: Nodes, inner: Any, value: Value, reading: Reading, role: str) -> Any:
    """Make a worker's output of the model's own; returns what the graph says of it."""
    logits = as_logits(nodes, inner, value, _INNER + value.name, reading)
    kind = value.kind if value.kind in _FLOATS and reading in _AS_THEY_ARE else TensorProto.FLOAT
    nodes.add("Cast", [logits], to=kind, output=role)
    sizes: list[int | str | None] = ["rows", *value.sizes[1:]]
    if reading in TWO_OF_ONE:
        sizes = [*(sizes[:-1] if len(sizes) > 1 else sizes), 2]
    return helper.make_tensor_value_info(role, kind, sizes)
