"""What the values of a graph are, as far as ONNX can tell without running it."""

from __future__ import annotations

import math

import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass

from streamproc.offline.splitting.layers import taken_by

# To compare what cuts hand on: a size that a batch decides, as rows and tokens are, and what a
# value may take of which not even that is known, which is so much that other cuts are preferred.
_BATCH_SIZE, _UNKNOWN_BYTES = 128, 2**32


class TensorSizes:
    """Types and sizes of a graph's values, as the model has them, or as ONNX infers them."""

    def __init__(self, model: ir.Model) -> None:
        """model: its weights need not be there, only their sizes"""
        inferred = model.clone()
        ShapeInferencePass(check_type=False, strict_mode=False)(inferred)
        named = {
            size.value
            for value in ir.convenience.create_value_mapping(
                model.graph, include_subgraphs=False
            ).values()
            for size in value.shape or ()
            if isinstance(size, ir.SymbolicDim)
        }
        self._known = {
            name: value
            for name, value in ir.convenience.create_value_mapping(
                inferred.graph, include_subgraphs=False
            ).items()
            if isinstance(value.type, ir.TensorType)
        }
        # Sizes stay open that have no name in the model, but one that inference made up: ONNX
        # Runtime fuses nodes where sizes are the same, by name or by being open, and what a stage
        # says of its inputs must let it fuse what it fuses in the whole.
        for value in self._known.values():
            if value.shape is not None:
                value.shape = ir.Shape(
                    size if isinstance(size, int) or size.value in named else None
                    for size in value.shape
                )

    def describe(self, value: ir.Value) -> None:
        """Give a value its type, and as much of its shape as is known."""
        known = self._known[str(value.name)]
        value.type, value.shape = known.type, known.shape

    def estimated_bytes(self, value: ir.Value) -> int | None:
        """What the value may take in a batch, about; None where its type is not known."""
        known = self._known.get(str(value.name))
        if known is None or known.dtype is None:
            return None
        if known.shape is None:
            return _UNKNOWN_BYTES
        sizes = (size if isinstance(size, int) else _BATCH_SIZE for size in known.shape)
        return math.prod(sizes) * math.ceil(known.dtype.itemsize)

    def resident_bytes(self, value: ir.Value) -> int:
        """What weights take once loaded, which is once they are worked out: `value` is fixed.

        ONNX Runtime works out what depends on weights alone as it loads them, but leaves quantised
        weights as they are.
        """
        if value.const_value is not None:
            return value.const_value.nbytes
        stored, quantised = _stored_bytes(value)
        known = self._known.get(str(value.name))
        if quantised or known is None or known.dtype is None or known.shape is None:
            return stored
        sizes = [size for size in known.shape if isinstance(size, int)]
        if len(sizes) < len(known.shape):
            return stored
        return math.prod(sizes) * math.ceil(known.dtype.itemsize)


def _stored_bytes(value: ir.Value) -> tuple[int, bool]:
    """What the constants take that a value is worked out from, and whether they are quantised."""
    seen, waiting, quantised = {value}, [value], False
    for found in waiting:
        producer = found.producer()
        if producer is not None:
            quantised |= producer.op_type == "DequantizeLinear"
            new = [taken for taken in taken_by(producer) if taken not in seen]
            seen.update(new)
            waiting += new
    return sum(found.const_value.nbytes for found in seen if found.const_value), quantised
