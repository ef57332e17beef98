"""What a model's scores are, and as a worker wants them: logits, one for each label."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from streamproc.errors import ModelRefused
from streamproc.offline.importing.nodes import Nodes
from streamproc.offline.importing.onnx_file import Value
from streamproc.types import ProblemType

Scale = Literal["logits", "probabilities"]
OutputKind = Literal[
    "logits",
    "one logit",
    "softmax",
    "sigmoid",
    "sigmoids",
    "probabilities",
    "one probability",
    "separate probabilities",
]

# One score stands for two labels.
TWO_OF_ONE: tuple[OutputKind, ...] = ("one logit", "sigmoid", "one probability")

# The smallest normal float32: a probability of zero has a logarithm that is no number.
_TINY = np.array([1.2e-38], np.float32)


def is_one_output(value: Value) -> bool:
    """Whether there is one score for a text."""
    return len(value.sizes) == 1 or value.sizes[-1] == 1


def last_operator(model: Any, value: Value) -> str:
    """What makes the output, as ONNX calls it."""
    last = _maker(model, value.name)
    return last.op_type if last is not None else ""


def output_kind(
    model: Any, value: Value, said: Scale | None, problem_type: ProblemType
) -> OutputKind:
    """What the scores are: as the flag says, or as the graph's last node does.

    Raises ModelRefused where that does not go with the kind of problem.
    """
    if problem_type == "regression":
        return "logits"
    one, operator = is_one_output(value), last_operator(model, value)
    last = _maker(model, value.name)
    if problem_type == "multi_label_classification":
        return _of_separate_labels(value, said, operator)
    if said is None and operator == "Softmax" and not one and _over_labels(last, value):
        return "softmax"
    if said is None and operator == "Sigmoid":
        if one:
            return "sigmoid"
        raise ModelRefused(
            f"the model ends in a sigmoid for each label: {value}; its labels do not exclude each "
            "other. Where they do, say --scores probabilities"
        )
    if said == "probabilities":
        return "one probability" if one else "probabilities"
    return "one logit" if one else "logits"


def _of_separate_labels(value: Value, said: Scale | None, operator: str) -> OutputKind:
    if said == "probabilities":
        return "separate probabilities"
    if said is None and operator == "Softmax":
        raise ModelRefused(
            f"the model ends in a softmax over labels, which exclude each other then: {value}; "
            "and multi_label_classification was said. Where each is a logit, say --scores logits"
        )
    return "sigmoids" if said is None and operator == "Sigmoid" else "logits"


def as_logits(nodes: Nodes, model: Any, value: Value, name: str, kind: OutputKind) -> str:
    """Add the nodes that make logits of the output `value`, by now called `name`.

    Returns the logits' name: (rows, labels), or as many dimensions as the output has. Of one score
    that tells two labels apart they are two: nothing for the first, and the score for the second.
    """
    found = name
    if kind in {"softmax", "sigmoid", "sigmoids"}:
        # What goes into the last node are logits; to take their logarithm would lose digits.
        last = _maker(model, name)
        found = last.input[0]
    if len(value.sizes) == 1:
        found = nodes.add("Reshape", [found, nodes.constant(np.array([-1, 1]))])
    if kind in {"probabilities", "one probability"}:
        single = nodes.add("Cast", [found], to=1)
        if kind == "one probability":
            rest = nodes.add("Sub", [nodes.constant(np.ones(1, np.float32)), single])
            single = nodes.add("Concat", [rest, single], axis=-1)
        return nodes.add("Log", [nodes.add("Max", [single, nodes.constant(_TINY)])])
    if kind == "separate probabilities":
        single = nodes.add("Cast", [found], to=1)
        rest = nodes.add("Sub", [nodes.constant(np.ones(1, np.float32)), single])
        logs = [
            nodes.add("Log", [nodes.add("Max", [of, nodes.constant(_TINY)])])
            for of in (single, rest)
        ]
        return nodes.add("Sub", logs)
    if kind in {"one logit", "sigmoid"}:
        nothing = nodes.add("Sub", [found, found])
        return nodes.add("Concat", [nothing, found], axis=-1)
    return found


def _maker(model: Any, name: str) -> Any:
    """The node that makes a value, seen through nodes that hand it on; None where none does."""
    makers = {output: node for node in model.graph.node for output in node.output}
    node = makers.get(name)
    while node is not None and node.op_type == "Identity":
        node = makers.get(node.input[0])
    return node


def _over_labels(softmax: Any, value: Value) -> bool:
    axes = [attribute.i for attribute in softmax.attribute if attribute.name == "axis"]
    return (axes or [-1])[0] in {-1, len(value.sizes) - 1}
