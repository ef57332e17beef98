"""A graph as it is seen by whoever cuts it: what must run in order, and what is worked out anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

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
class Layers:
    """A graph's nodes in two parts.

    main_path: what depends on inputs and on weights, in order; a cut lies between two of them. The
        others depend on inputs alone (an attention mask) or on weights alone (their
        dequantisation): a stage that needs such a node recomputes it
    weights: of what depends on weights alone, values that the main path uses, constants included
    inputs: of the model
    """

    main_path: tuple[ir.Node, ...]
    weights: frozenset[ir.Value]
    inputs: tuple[ir.Value, ...]


def layers_of(graph: ir.Graph) -> Layers:
    """The layers of a graph whose nodes are in order, as ONNX asks."""
    inputs = tuple(value for value in graph.inputs if not value.is_initializer())
    from_inputs = set(inputs)
    from_weights = {
        value
        for value in graph.initializers.values()
        if value.const_value is not None and value.const_value.nbytes >= SMALLEST_WEIGHT_BYTES
    }
    main_path: list[ir.Node] = []
    for node in graph:
        taken, drawn = set(taken_by(node)), node.op_type in _DRAWN
        varies = drawn or not from_inputs.isdisjoint(taken)
        weighs = drawn or not from_weights.isdisjoint(taken) or bytes_within(node) > 0
        from_inputs.update(node.outputs if varies else ())
        from_weights.update(node.outputs if weighs else ())
        if varies and weighs:
            main_path.append(node)
    used = {value for node in main_path for value in taken_by(node)}
    return Layers(tuple(main_path), frozenset(used & from_weights - from_inputs), inputs)


def taken_by(node: ir.Node) -> Iterator[ir.Value]:
    """What a node takes, and what its subgraphs take from outside themselves."""
    yield from (value for value in node.inputs if value is not None)
    for graph in _subgraphs(node):
        inner = [value for own in graph.all_nodes() for value in own.inputs]
        for value in (*inner, *graph.outputs):
            if value is not None and value.graph is node.graph:
                yield value


def bytes_within(node: ir.Node) -> int:
    """What weights written into a node take, as those of a branch are."""
    tensors = [own.value for own in node.attributes.values() if own.type is ir.AttributeType.TENSOR]
    for graph in _subgraphs(node):
        tensors += [value.const_value for value in graph.initializers.values()]
    found = sum(tensor.nbytes for tensor in tensors if tensor is not None)
    found += sum(bytes_within(inner) for graph in _subgraphs(node) for inner in graph)
    return found if found >= SMALLEST_WEIGHT_BYTES else 0


def _subgraphs(node: ir.Node) -> Iterator[ir.Graph]:
    for attribute in node.attributes.values():
        if attribute.type is ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type is ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()
