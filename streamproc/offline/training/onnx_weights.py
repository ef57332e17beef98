"""The weights of a BERT out of an fp32 ONNX file that torch has exported, by torch's own names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from streamproc.errors import TrainingError
from streamproc.types import Float32Array

_BIAS, _WEIGHT = ".bias", ".weight"


def bert_weights(path: Path) -> dict[str, Float32Array]:
    """The parameters by the names that transformers' BertModel has for them.

    torch's exporter keeps the names of parameters, but for the weights of linear layers: these it
    transposes for ONNX's MatMul, and numbers. Such a weight is named by the bias that is added
    behind its product, and transposed back.

    Raises TrainingError when the file is not such a model.
    """
    try:
        graph = onnx.load(str(path)).graph
    except Exception as error:  # noqa: BLE001  # protobuf's and onnx's own share no base
        raise TrainingError(f"{path}: not an ONNX model: {error}.") from None
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    if other := sorted(n for n, t in tensors.items() if t.data_type != TensorProto.FLOAT):
        raise TrainingError(f"{path}: {other[0]} is not of fp32; a base is read from fp32 alone.")
    products = _names_of_products(graph, tensors)
    weights: dict[str, Float32Array] = {}
    for number, tensor in tensors.items():
        values = np.array(numpy_helper.to_array(tensor))
        name = products.get(number, number)
        if name.startswith("onnx::"):
            raise TrainingError(
                f"{path}: nothing tells which weight {name} is; it was exported otherwise than "
                "torch exports a BERT."
            )
        if name in weights:
            raise TrainingError(f"{path}: two of its weights are {name}; a bias is shared.")
        weights[name] = np.ascontiguousarray(values.T) if number in products else values
    return weights


def _names_of_products(graph: Any, tensors: dict[str, Any]) -> dict[str, str]:
    """By the numbered names of linear layers' weights, those that torch has for them."""
    biases = {
        added: bias
        for node in graph.node
        if node.op_type == "Add"
        for bias, added in (tuple(node.input), tuple(node.input)[::-1])
        if bias in tensors and bias.endswith(_BIAS)
    }
    return {
        node.input[1]: biases[node.output[0]].removesuffix(_BIAS) + _WEIGHT
        for node in graph.node
        if node.op_type == "MatMul" and node.input[1] in tensors and node.output[0] in biases
    }
