"""An ONNX graph as it is seen by whoever cuts it: what must stay in order, and what is carried."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import onnx

# What is smaller is no weight: axes, scales, a mask's largest number.
SMALLEST_WEIGHT_BYTES = 1024
# Each call of these gives something else, so that none may be made twice.
_DRAWN = {
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
}


@dataclass(frozen=True, slots=True)
class Step:
    """A node.

    at: its place among the graph's nodes
    takes: what it needs, subgraphs included; gives: what it makes
    own_bytes: of weights that are written into it, as those of a branch are
    """

    at: int
    node: onnx.NodeProto
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    own_bytes: int


@dataclass(frozen=True, slots=True)
class Layers:
    """A graph's steps in two parts.

    spine: what depends on inputs and on weights, in order; a cut lies between two of them
    carried: by what it makes, each step that depends on inputs alone (an attention mask) or on
        weights alone (their dequantisation); a stage that needs it makes it for itself
    weights: of what depends on weights alone, names that the spine uses, constants included
    constants: initializers by name
    inputs: of the model
    """

    spine: tuple[Step, ...]
    carried: dict[str, Step]
    weights: frozenset[str]
    constants: dict[str, onnx.TensorProto]
    inputs: tuple[str, ...]

    def behind(self, names: Iterable[str]) -> tuple[list[Step], set[str]]:
        """The carried steps that make these values, and the names of what they start from."""
        steps: dict[int, Step] = {}
        ends: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            step = self.carried.get(name)
            if step is None:
                ends.add(name)
            elif step.at not in steps:
                steps[step.at] = step
                waiting += step.takes
        return list(steps.values()), ends


def layers_of(graph: onnx.GraphProto) -> Layers:
    """The layers of a graph whose nodes are in order, as ONNX asks."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    inputs = tuple(value.name for value in graph.input if value.name not in constants)
    from_inputs, from_weights = set(inputs), set(_weights(constants))
    spine: list[Step] = []
    carried: dict[str, Step] = {}
    for at, node in enumerate(graph.node):
        own = _written_in(node)
        step = Step(at, node, tuple(needs(node)), tuple(filter(None, node.output)), own)
        varies = not from_inputs.isdisjoint(step.takes) or node.op_type in _DRAWN
        weighs = not from_weights.isdisjoint(step.takes) or own or node.op_type in _DRAWN
        from_inputs.update(step.gives if varies else ())
        from_weights.update(step.gives if weighs else ())
        if varies and weighs:
            spine.append(step)
        else:
            carried.update(dict.fromkeys(step.gives, step))
    taken = {name for step in spine for name in step.takes}
    fixed = frozenset(taken & from_weights - from_inputs)
    return Layers(tuple(spine), carried, fixed, constants, inputs)


def needs(node: onnx.NodeProto) -> Iterator[str]:
    """What a node takes, and what its subgraphs take from outside themselves."""
    yield from filter(None, node.input)
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield from _needs_of(attribute.g)
        for graph in attribute.graphs:
            yield from _needs_of(graph)


def _needs_of(graph: onnx.GraphProto) -> Iterator[str]:
    own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        yield from (name for name in needs(node) if name not in own)
        own.update(node.output)
    yield from (value.name for value in graph.output if value.name not in own)


def _written_in(node: onnx.NodeProto) -> int:
    found = 0
    for attribute in node.attribute:
        if attribute.HasField("t"):
            found += tensor_bytes(attribute.t)
        for graph in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
            found += sum(map(tensor_bytes, graph.initializer)) + sum(map(_written_in, graph.node))
    return found if found >= SMALLEST_WEIGHT_BYTES else 0


def _weights(constants: dict[str, onnx.TensorProto]) -> Iterator[str]:
    for name, tensor in constants.items():
        if tensor_bytes(tensor) >= SMALLEST_WEIGHT_BYTES:
            yield name


def tensor_bytes(tensor: onnx.TensorProto) -> int:
    """What a tensor takes, wherever its numbers are."""
    return elements(tensor.dims) * element_bytes(tensor.data_type)


def elements(sizes: Iterable[int]) -> int:
    """How many numbers an array of these sizes holds."""
    count = 1
    for size in sizes:
        count *= size
    return count


def element_bytes(kind: int) -> int:
    """What a number of ONNX's type takes, in whole bytes; raises KeyError for a type unknown."""
    return int(onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize)
