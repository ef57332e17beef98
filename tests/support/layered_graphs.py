"""Models of several layers as ONNX, of the form that encoders have: what can be cut into stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.support.onnx_models import IR_VERSION, OPSET, ROWS_AND_TOKENS

VOCABULARY = 200


@dataclass(frozen=True, slots=True)
class Layered:
    """widths: of each layer's inner matrix, as long as there are layers

    tied: layers share their matrices, as ALBERT's do, where they are of one width
    stored_in_eight_bits: matrices are int8 and scaled back, by nodes at the start of the graph
    per_token: an answer a token, not a text
    """

    widths: Sequence[int] = (48, 48, 48, 48)
    hidden: int = 32
    labels: int = 2
    tied: bool = False
    stored_in_eight_bits: bool = False
    per_token: bool = False
    seed: int = 0

    def model(self) -> bytes:
        """Embeddings, layers with an attention mask that is made once, and scores."""
        made = _Graph(np.random.default_rng(self.seed), eight_bits=self.stored_in_eight_bits)
        made.weights("table", (VOCABULARY, self.hidden))
        made.node("Gather", ["table", "input_ids"], "state")
        made.constant("one", np.array([1], np.int64))
        made.constant("two", np.array([2], np.int64))
        made.constant("far", np.array([-1e4], np.float32))
        made.node("Cast", ["attention_mask"], "seen", to=TensorProto.FLOAT)
        made.constant("whole", np.array([1.0], np.float32))
        made.node("Sub", ["whole", "seen"], "unseen")
        made.node("Mul", ["unseen", "far"], "kept_out")
        made.node("Unsqueeze", ["kept_out", "one"], "mask")
        state = "state"
        for layer, width in enumerate(self.widths):
            state = made.layer(layer, state, self.hidden, width, tied=self.tied)
        if not self.per_token:
            made.node("Unsqueeze", ["kept_out", "two"], "kept_out_each")
            made.node("Add", [state, "kept_out_each"], "text_only")
            made.node("ReduceMax", ["text_only"], "pooled", axes=[1], keepdims=0)
            state = "pooled"
        made.weights("head", (self.hidden, self.labels))
        made.node("MatMul", [state, "head"], "logits")
        shape = (*ROWS_AND_TOKENS, self.labels) if self.per_token else ("rows", self.labels)
        return made.model(shape)


class _Graph:
    def __init__(self, random: np.random.Generator, *, eight_bits: bool) -> None:
        self._random, self._eight_bits = random, eight_bits
        self._nodes: list[onnx.NodeProto] = []
        self._before: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: object) -> None:
        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))

    def constant(self, name: str, value: NDArray[np.generic]) -> None:
        self._constants[name] = numpy_helper.from_array(value, name)

    def weights(self, name: str, shape: tuple[int, int]) -> None:
        drawn = self._random.normal(size=shape) / np.sqrt(shape[0])
        if not self._eight_bits:
            self.constant(name, drawn.astype(np.float32))
            return
        self.constant(f"{name}.int8", np.rint(drawn * 40).clip(-127, 127).astype(np.int8))
        self.constant(f"{name}.scale", np.array([1 / 40], np.float32))
        cast = f"{name}.fp32"
        self._before += [
            helper.make_node("Cast", [f"{name}.int8"], [cast], to=TensorProto.FLOAT),
            helper.make_node("Mul", [cast, f"{name}.scale"], [name]),
        ]

    def layer(self, number: int, state: str, hidden: int, width: int, *, tied: bool) -> str:
        own = f"l{number}"
        shared = "shared" if tied else own
        if not tied or number == 0:
            self.weights(f"{shared}.in", (hidden, width))
            self.weights(f"{shared}.out", (width, hidden))
        self.node("Transpose", [state], f"{own}.keys", perm=[0, 2, 1])
        self.node("MatMul", [state, f"{own}.keys"], f"{own}.likeness")
        self.node("Add", [f"{own}.likeness", "mask"], f"{own}.masked")
        self.node("Softmax", [f"{own}.masked"], f"{own}.attention", axis=-1)
        self.node("MatMul", [f"{own}.attention", state], f"{own}.context")
        self.node("MatMul", [f"{own}.context", f"{shared}.in"], f"{own}.inner")
        self.node("Relu", [f"{own}.inner"], f"{own}.bent")
        self.node("MatMul", [f"{own}.bent", f"{shared}.out"], f"{own}.outer")
        self.node("Add", [f"{own}.outer", state], f"{own}.state")
        return f"{own}.state"

    def model(self, shape: Sequence[str | int]) -> bytes:
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ROWS_AND_TOKENS)
            for name in ("input_ids", "attention_mask")
        ]
        outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, list(shape))]
        nodes = [*self._before, *self._nodes]
        graph = helper.make_graph(nodes, "layers", inputs, outputs, list(self._constants.values()))
        made: onnx.ModelProto = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
        )
        return bytes(made.SerializeToString())
