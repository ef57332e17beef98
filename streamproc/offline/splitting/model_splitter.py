"""A model on disk, cut into stages."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import LiftConstantsToInitializersPass

from streamproc.errors import ModelRefused
from streamproc.offline.splitting.cuts import choose_cuts
from streamproc.offline.splitting.layers import (
    SMALLEST_WEIGHT_BYTES,
    Layers,
    bytes_within,
    layers_of,
    taken_by,
)
from streamproc.offline.splitting.tensor_sizes import TensorSizes
from streamproc.repository.files import sha256
from streamproc.repository.manifest import StageSection, WeightsFile
from streamproc.repository.regular_files import read_regular
from streamproc.repository.verified import MAX_FILE_BYTES

# Weights begin at a page of memory each, so that ONNX Runtime can map them instead of copying.
_PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class WrittenStage:
    """A stage on disk: a graph, and its weights in a file beside it.

    resident_bytes: what the weights take once they are loaded
    boundary_tensors: names of the values that later stages take from it
    """

    graph: Path
    weights: Path
    resident_bytes: int
    boundary_tensors: tuple[str, ...]

    def section(self, folder: Path) -> StageSection:
        """What a manifest in `folder` says of it."""
        return StageSection(
            file=self.graph.relative_to(folder).as_posix(),
            sha256=sha256(self.graph),
            size_bytes=self.graph.stat().st_size,
            resident_bytes=self.resident_bytes,
            weights=WeightsFile(
                file=self.weights.relative_to(folder).as_posix(),
                sha256=sha256(self.weights),
                size_bytes=self.weights.stat().st_size,
            ),
        )


def split_model(path: Path, stages: int, folder: Path) -> list[WrittenStage]:
    """Cut a model into stages, written into `folder` as `stage-N.onnx` and `stage-N.weights`.

    path: an ONNX file; weights that it has in files beside it stay there, read one at a time
    Raises ModelRefused where it can't be cut so, saying why.
    """
    model = _read(path)
    layers, sizes = layers_of(model.graph), TensorSizes(model)
    weighed = [_weights_of(node, layers, sizes) for node in layers.main_path]
    try:
        cuts = choose_cuts(weighed, _boundary_bytes(layers.main_path, sizes), stages)
    except ModelRefused as reason:
        raise ModelRefused(f"{path}: {reason}{_hint(layers)}") from None
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, (first, last) in enumerate(pairwise([0, *cuts, len(layers.main_path)]), 1):
        resident = sum({k: v for own in weighed[first:last] for k, v in own.items()}.values())
        later = {value for node in layers.main_path[last:] for value in taken_by(node)}
        gives = _outputs(model.graph, layers, first, last, later)
        graph = _stage(model.graph, layers, first, gives)
        for value in (*graph.inputs, *graph.outputs):
            sizes.describe(value)
        file, weights = folder / f"stage-{number}.onnx", folder / f"stage-{number}.weights"
        _write(model, graph, file, weights)
        boundary = tuple(str(value.name) for value in gives if value in later)
        written.append(WrittenStage(file, weights, resident, boundary))
    return written


def _read(path: Path) -> ir.Model:
    """The model, its large constants initializers, which is how they can be kept in another file.

    Raises ModelRefused.
    """
    try:
        content = read_regular(path, MAX_FILE_BYTES)
    except OSError as error:
        raise ModelRefused(f"{path}: {error.strerror}") from None
    try:
        proto = onnx.load_from_string(content)
    except Exception as error:  # noqa: BLE001 - protobuf's errors and onnx's share no base
        raise ModelRefused(f"{path}: not an ONNX model: {error}") from None
    if proto.graph.sparse_initializer:
        raise ModelRefused(f"{path} has sparse weights, which can't be cut; store them densely")
    model: ir.Model = ir.from_proto(proto)
    ir.external_data.set_base_dir(model.graph, path.parent)
    LiftConstantsToInitializersPass()(model)
    for graph in model.graphs():
        for value in graph.initializers.values():
            if isinstance(value.const_value, ir.ExternalTensor):
                _require_weights(value.const_value, path.parent)
    return model


def _require_weights(tensor: ir.ExternalTensor, folder: Path) -> None:
    """Raise ModelRefused where a file of weights is not as the model says."""
    path = (folder / tensor.location).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ModelRefused(f"weights of {tensor.name} lead out of {folder}")
    try:
        missing = (tensor.offset or 0) + (tensor.length or tensor.nbytes) - path.stat().st_size
    except OSError as error:
        raise ModelRefused(f"{path}: {error.strerror}; the model names it") from None
    if missing > 0:
        raise ModelRefused(f"{path} ends {missing} bytes before the end of {tensor.name}")


def _outputs(
    graph: ir.Graph, layers: Layers, first: int, last: int, later: set[ir.Value]
) -> list[ir.Value]:
    """What the stage of the main path's nodes from `first` on and before `last` gives."""
    made = [value for node in layers.main_path[first:last] for value in node.outputs]
    if last == len(layers.main_path):
        # What depends on inputs alone may be asked for as well; any stage could give it.
        on_path = {value for node in layers.main_path for value in node.outputs}
        made += [value for value in graph.outputs if value not in on_path]
    results = set(graph.outputs)
    return [value for value in made if value in later or value in results]


def _stage(graph: ir.Graph, layers: Layers, first: int, gives: list[ir.Value]) -> ir.Graph:
    """The nodes that make these values of the model's inputs and of what earlier stages made."""
    earlier = [value for node in layers.main_path[:first] for value in node.outputs if value.name]
    stage = ir.convenience.extract(graph, [*layers.inputs, *earlier], gives)
    for value in list(stage.inputs):
        if not value.uses() and not value.is_graph_output():
            stage.inputs.remove(value)
    # In the model's order, so that the same model is always cut into the same bytes.
    order = {name: at for at, name in enumerate(graph.initializers)}
    own = sorted(stage.initializers.items(), key=lambda item: order[item[0]])
    stage.initializers.clear()
    stage.initializers.update(own)
    return stage


def _write(model: ir.Model, graph: ir.Graph, file: Path, weights: Path) -> None:
    stage = ir.Model(graph, ir_version=model.ir_version, functions=tuple(model.functions.values()))
    weights.touch()
    ir.external_data.unload_from_model(
        stage,
        file.parent,
        weights.name,
        size_threshold_bytes=SMALLEST_WEIGHT_BYTES - 1,
        alignment=_PAGE_BYTES,
        align_threshold=SMALLEST_WEIGHT_BYTES - 1,
    )
    file.write_bytes(ir.to_proto(stage).SerializeToString())


def _weights_of(node: ir.Node, layers: Layers, sizes: TensorSizes) -> dict[str, int]:
    """What weights a node uses, in bytes once loaded."""
    own = {
        str(value.name): sizes.resident_bytes(value)
        for value in taken_by(node)
        if value in layers.weights
    }
    if within := bytes_within(node):
        own[f"in {node.outputs[0].name}"] = within
    return own


def _boundary_bytes(main_path: tuple[ir.Node, ...], sizes: TensorSizes) -> list[int | None]:
    """Before each node, the bytes that earlier ones hand on to it and later ones."""
    last_use: dict[ir.Value, int] = {}
    for at, node in enumerate(main_path):
        last_use.update(dict.fromkeys(taken_by(node), at))
    handed: list[int | None] = [0] * len(main_path)
    for at, node in enumerate(main_path):
        for value in node.outputs:
            size = sizes.estimated_bytes(value)
            for place in range(at + 1, last_use.get(value, at) + 1):
                before = handed[place]
                handed[place] = None if before is None or size is None else before + size
    return handed


def _hint(layers: Layers) -> str:
    """What about the graph may be in the way."""
    branches = {node.op_type for node in layers.main_path if bytes_within(node)}
    if not branches:
        return ""
    return f"; weights within {', '.join(sorted(branches))} (as in a merged decoder) can't be cut"
