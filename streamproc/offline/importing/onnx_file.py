"""Reading an ONNX graph: what it takes and gives, and what it says of itself."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import onnx.shape_inference
from onnx import TensorProto
from onnx.external_data_helper import (
    ExternalDataInfo,
    load_external_data_for_model,
    uses_external_data,
)

from streamproc.errors import ModelRefused
from streamproc.offline.importing.safetensors_size import GIT_POINTER, is_git_pointer
from streamproc.repository.manifest import Precision
from streamproc.repository.regular_files import read_regular
from streamproc.repository.verified import MAX_FILE_BYTES

# From here on, nodes that are put before and behind a model have one form.
OLDEST_OPSET = 13

_PRECISIONS: dict[int, Precision] = {
    TensorProto.FLOAT: "fp32",
    TensorProto.FLOAT16: "fp16",
    TensorProto.BFLOAT16: "fp16",
    TensorProto.INT8: "int8",
    TensorProto.UINT8: "int8",
}


@dataclass(frozen=True, slots=True)
class Value:
    """An input or output. kind: its type as ONNX numbers them; sizes: None where they may vary."""

    name: str
    kind: int
    sizes: tuple[int | None, ...]

    def __str__(self) -> str:
        sizes = ", ".join("any" if size is None else str(size) for size in self.sizes)
        return f"{self.name} ({self.type_name} of {sizes or 'no dimensions'})"

    @property
    def type_name(self) -> str:
        return TensorProto.DataType.Name(self.kind).lower()  # type: ignore[no-any-return]


def read_graph(path: Path) -> Any:
    """The model in an ONNX file, weights that lie beside it included; raises ModelRefused."""
    try:
        content = read_regular(path, MAX_FILE_BYTES)
    except OSError as error:
        raise ModelRefused(f"{path}: {error.strerror}") from None
    try:
        model = onnx.load_from_string(content)
    except Exception as error:  # noqa: BLE001  # protobuf's and onnx's own share no base
        raise ModelRefused(f"{path}: {_pointer(path) or f'not an ONNX model: {error}'}") from None
    if not model.graph.node:
        reason = _pointer(path) or "not an ONNX model, or one without nodes"
        raise ModelRefused(f"{path}: {reason}")
    missing = [name for name in _weight_files(model) if not (path.parent / name).is_file()]
    if missing:
        raise ModelRefused(
            f"{path} keeps its weights in {', '.join(missing)}, and there is no such file beside "
            "it: put it there under that very name"
        )
    try:
        load_external_data_for_model(model, str(path.parent))
    except Exception as error:  # noqa: BLE001  # of ONNX's checker, the system, and protobuf
        raise ModelRefused(f"{path}: its weights beside it can't be read: {error}") from None
    return model


def _weight_files(model: Any) -> list[str]:
    """The files beside a graph that its weights lie in, by the names it has for them."""
    tensors = [*model.graph.initializer, *_of_nodes(model.graph)]
    apart = [ExternalDataInfo(tensor) for tensor in tensors if uses_external_data(tensor)]
    return sorted({info.location for info in apart})


def _of_nodes(graph: Any) -> Iterator[Any]:
    """Tensors that nodes carry, those of the graphs inside them too."""
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from inner.initializer
                yield from _of_nodes(inner)


def _pointer(path: Path) -> str | None:
    """What is wrong where a file is what Git keeps in a large file's place."""
    return GIT_POINTER if is_git_pointer(path) else None


def serialised(model: Any, where: Path) -> bytes:
    """The model in one piece; raises ModelRefused where it is larger than ONNX allows."""
    try:
        return bytes(model.SerializeToString())
    except Exception as error:  # noqa: BLE001  # protobuf's own
        raise ModelRefused(
            f"{where}: a member is one file of at most 2 GiB, which this is not ({error}); export "
            "it in half precision, or quantise it statically"
        ) from None


def inputs_of(model: Any) -> list[Value]:
    """What the graph takes, weights left out."""
    weights = {weight.name for weight in model.graph.initializer}
    return [_value(given) for given in model.graph.input if given.name not in weights]


def outputs_of(model: Any) -> list[Value]:
    """What the graph gives; as ONNX infers it, where the file does not say how large it is."""
    given = model.graph.output
    if not all(one.type.tensor_type.HasField("shape") for one in given):
        with suppress(Exception):  # what can't be inferred is told of as it is
            given = onnx.shape_inference.infer_shapes(model).graph.output
    return [_value(one) for one in given]


def opset_of(model: Any) -> int:
    """The version of ONNX's own operators that the graph is written in."""
    return next((o.version for o in model.opset_import if o.domain in {"", "ai.onnx"}), 1)


def producer_of(model: Any) -> str:
    """What wrote the file, by its own account."""
    version = model.producer_version.split(" ")[0]
    return f"{model.producer_name or 'unknown'} {version}".strip()


def precision_of(model: Any) -> Precision:
    """What most of the weights are kept in."""
    elements: Counter[Precision] = Counter()
    for weight in model.graph.initializer:
        if weight.data_type in _PRECISIONS:
            elements[_PRECISIONS[weight.data_type]] += math.prod(weight.dims)
    # Of two that are as many, the one of more bits.
    return max(("fp32", "fp16", "int8"), key=elements.__getitem__)


def _value(given: Any) -> Value:
    tensor = given.type.tensor_type
    sizes = tuple(
        size.dim_value if size.HasField("dim_value") and size.dim_value > 0 else None
        for size in tensor.shape.dim
    )
    return Value(given.name, tensor.elem_type, sizes)
