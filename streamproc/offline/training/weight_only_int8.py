"""Weights stored in eight bits and computed with in fp32: a quarter of the size, same behaviour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from streamproc.offline.training.exporting import save

_SMALLEST = 1024


def store_in_eight_bits(source: Path, target: Path) -> None:
    """Write a copy of an fp32 ONNX graph whose weight matrices are int8 with a scale a channel.

    Each is cast and scaled back before anything uses it, which ONNX Runtime does once, as it loads
    the graph. So unlike with int8 arithmetic a row's result does not depend on its batch, and
    graphs with branches (merged decoders), which static quantisation refuses, are no exception.
    Matrices of fewer than 1,024 numbers, biases and norms stay as they are.
    """
    graph = onnx.load(str(source))
    stored: list[onnx.NodeProto] = []
    for weights in list(graph.graph.initializer):
        if weights.data_type != onnx.TensorProto.FLOAT or len(weights.dims) < 2:
            continue
        values = numpy_helper.to_array(weights)
        if values.size < _SMALLEST:
            continue
        whole, scale = _eight_bits(values)
        name = weights.name
        graph.graph.initializer.remove(weights)
        graph.graph.initializer.extend(
            [
                numpy_helper.from_array(whole, f"{name}.int8"),
                numpy_helper.from_array(scale, f"{name}.scale"),
            ]
        )
        cast = f"{name}.fp32"
        stored += [
            helper.make_node("Cast", [f"{name}.int8"], [cast], cast, to=onnx.TensorProto.FLOAT),
            helper.make_node("Mul", [cast, f"{name}.scale"], [name], f"{name}.scaled"),
        ]
    nodes = [*stored, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    save(graph, target)


def _eight_bits(values: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Whole numbers of [-127, 127] and their scales, along the axis that loses less."""
    best: tuple[NDArray[np.int8], NDArray[np.float32]] | None = None
    least = np.inf
    for axis in (0, values.ndim - 1):
        others = tuple(other for other in range(values.ndim) if other != axis)
        highest = np.abs(values).max(axis=others, keepdims=True)
        scale = (np.where(highest > 0, highest, 1) / 127).astype(np.float32)
        whole = np.rint(values / scale).astype(np.int8)
        lost = float(np.square(values - whole * scale).sum())
        if lost < least:
            best, least = (whole, scale), lost
    assert best is not None  # noqa: S101  # there are always two axes to choose from
    return best
