"""What the values of a graph are, as far as ONNX can tell without running it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import onnx

from streamproc.offline.splitting.graph import Layers, element_bytes, elements, tensor_bytes

# To compare what cuts hand on: a size that a batch decides, as rows and tokens are, and what a
# value may take of which not even that is known, which is so much that other cuts are preferred.
_BATCH_SIZE, _UNKNOWN_BYTES = 128, 2**32


class Values:
    """Types and sizes by name, each value's description as the model has it, or as ONNX infers it.

    said: those that the model has itself, inputs and outputs among them
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        """model: its weights need not be there, only their sizes"""
        inferred = onnx.shape_inference.infer_shapes(_without_weights(model), data_prop=True)
        graph = inferred.graph
        self._known: dict[str, onnx.ValueInfoProto] = {
            value.name: value
            for value in (*graph.value_info, *graph.output, *graph.input)
            if value.type.tensor_type.elem_type
        }
        said = (*model.graph.value_info, *model.graph.output, *model.graph.input)
        self.said = {value.name: value for value in said}
        names = {size.dim_param for value in said for size in _sizes(value)}
        for value in self._known.values():
            _forget_names(value, names)

    def described(self, name: str) -> onnx.ValueInfoProto | None:
        """The value's type, and as much of its shape as is known; None: not even its type."""
        return self._known.get(name)

    def estimated_bytes(self, name: str) -> int | None:
        """What the value may take in a batch, about; None where its type is not known."""
        value = self._known.get(name)
        if value is None:
            return None
        tensor = value.type.tensor_type
        if not tensor.HasField("shape"):
            return _UNKNOWN_BYTES
        sizes = (
            size.dim_value if size.HasField("dim_value") else _BATCH_SIZE
            for size in tensor.shape.dim
        )
        return elements(sizes) * element_bytes(tensor.elem_type)

    def resident_bytes(self, layers: Layers, name: str) -> int:
        """What weights take once loaded, which is once they are worked out: `name` is fixed.

        ONNX Runtime works out what depends on weights alone as it loads them, but leaves quantised
        weights as they are.
        """
        if name in layers.constants:
            return tensor_bytes(layers.constants[name])
        steps, ends = layers.behind([name])
        value = self._known.get(name)
        sizes = value.type.tensor_type.shape.dim if value is not None else ()
        quantised = any(step.node.op_type == "DequantizeLinear" for step in steps)
        if value is None or quantised or not all(size.HasField("dim_value") for size in sizes):
            return _tensors_bytes(layers, ends)
        kind = element_bytes(value.type.tensor_type.elem_type)
        return elements(size.dim_value for size in sizes) * kind


def _sizes(value: onnx.ValueInfoProto) -> Sequence[Any]:
    return list(value.type.tensor_type.shape.dim)


def _forget_names(value: onnx.ValueInfoProto, known: Collection[str]) -> None:
    """Leave sizes open that have no name in the model, but one that inference made up.

    ONNX Runtime fuses nodes where sizes are the same, by name or by being open: what a stage says
    of its inputs must let it fuse what it fuses in the whole.
    """
    for size in _sizes(value):
        if size.dim_param not in known:
            size.ClearField("dim_param")


def _tensors_bytes(layers: Layers, names: Iterable[str]) -> int:
    return sum(tensor_bytes(layers.constants[name]) for name in names if name in layers.constants)


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its large tensors' names, types and sizes alone."""
    bare = onnx.ModelProto()
    bare.ir_version = model.ir_version
    bare.opset_import.extend(model.opset_import)
    bare.functions.extend(model.functions)
    bare.graph.name = model.graph.name
    for part in ("node", "input", "output", "value_info"):
        getattr(bare.graph, part).extend(getattr(model.graph, part))
    for tensor in model.graph.initializer:
        if tensor_bytes(tensor) < 1024 and not tensor.external_data:
            bare.graph.initializer.append(tensor)
        else:
            bare.graph.initializer.add(
                name=tensor.name, dims=tensor.dims, data_type=tensor.data_type
            )
    return bare
