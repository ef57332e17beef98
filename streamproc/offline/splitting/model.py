"""A model on disk, cut into stages."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import onnx

from streamproc.errors import ModelRefused
from streamproc.offline.splitting.cuts import choose_cuts
from streamproc.offline.splitting.graph import (
    SMALLEST_WEIGHT_BYTES,
    Layers,
    Step,
    layers_of,
    tensor_bytes,
)
from streamproc.offline.splitting.values import Values
from streamproc.offline.splitting.weights import WeightsWriter
from streamproc.repository.files import sha256
from streamproc.repository.manifest import StageSection, WeightsFile


@dataclass(frozen=True, slots=True)
class WrittenStage:
    """A stage on disk: a graph, and its weights in a file beside it.

    resident_bytes: what the weights take once they are loaded
    handed_on: names of the values that later stages take from it
    """

    graph: Path
    weights: Path
    resident_bytes: int
    handed_on: tuple[str, ...]

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
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # noqa: BLE001 - protobuf's errors and onnx's share no base
        raise ModelRefused(f"{path}: not an ONNX model: {error}") from None
    if model.graph.sparse_initializer:
        raise ModelRefused(f"{path} has sparse weights, which can't be cut; store them densely")
    _constants_as_weights(model.graph)
    layers, values = layers_of(model.graph), Values(model)
    weighed = [_weights_of(step, layers, values) for step in layers.spine]
    handed_on = _handed_on(layers.spine, values)
    try:
        cuts = choose_cuts(weighed, handed_on, stages)
    except ModelRefused as reason:
        raise ModelRefused(f"{path}: {reason}{_hint(layers)}") from None
    folder.mkdir(parents=True, exist_ok=True)
    bounds = [0, *cuts, len(layers.spine)]
    written = []
    for number, (first, last) in enumerate(pairwise(bounds), 1):
        stage = _Stage.between(first, last, layers, model.graph)
        resident = sum({k: v for own in weighed[first:last] for k, v in own.items()}.values())
        graph = folder / f"stage-{number}.onnx"
        weights = folder / f"stage-{number}.weights"
        with WeightsWriter(weights, path.parent) as writer:
            graph.write_bytes(stage.graph(model, layers, values, writer).SerializeToString())
        written.append(WrittenStage(graph, weights, resident, stage.handed_on))
    return written


@dataclass(frozen=True, slots=True)
class _Stage:
    """steps, in order; takes, gives: names of its inputs and outputs; handed_on: of `gives`, what
    later stages take; constants: names of those that it needs"""

    steps: tuple[onnx.NodeProto, ...]
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    handed_on: tuple[str, ...]
    constants: tuple[str, ...]

    @classmethod
    def between(cls, first: int, last: int, layers: Layers, graph: onnx.GraphProto) -> _Stage:
        """The stage of the spine's steps from `first` on and before `last`."""
        own = layers.spine[first:last]
        made = [name for step in own for name in step.gives]
        results = [value.name for value in graph.output]
        needed = {name for step in own for name in step.takes}
        if last == len(layers.spine):
            # What depends on inputs alone may be asked for as well; any stage could give it.
            on_spine = {name for step in layers.spine for name in step.gives}
            needed |= {name for name in results if name not in on_spine}
            made += [name for name in results if name not in on_spine]
        carried, ends = layers.behind(needed)
        steps = sorted((*own, *carried), key=lambda step: step.at)
        later = {name for step in layers.spine[last:] for name in step.takes}
        own_made = {name for step in own for name in step.gives}
        asked = [*layers.inputs, *(name for step in layers.spine[:first] for name in step.gives)]
        return cls(
            steps=tuple(step.node for step in steps),
            takes=tuple(name for name in asked if name in ends - own_made),
            gives=tuple(name for name in made if name in later or name in results),
            handed_on=tuple(name for name in made if name in later),
            constants=tuple(name for name in layers.constants if name in ends),
        )

    def graph(
        self, model: onnx.ModelProto, layers: Layers, values: Values, writer: WeightsWriter
    ) -> onnx.ModelProto:
        """The stage as a model whose weights go to `writer`."""
        cut = onnx.ModelProto()
        cut.ir_version = model.ir_version
        cut.opset_import.extend(model.opset_import)
        cut.functions.extend(model.functions)
        cut.graph.name = model.graph.name
        cut.graph.node.extend(self.steps)
        cut.graph.input.extend(_described(values, name) for name in self.takes)
        cut.graph.output.extend(_described(values, name) for name in self.gives)
        within = {name for node in self.steps for name in node.output}.difference(self.gives)
        cut.graph.value_info.extend(value for name, value in values.said.items() if name in within)
        for name in self.constants:
            cut.graph.initializer.append(writer.kept(layers.constants[name]))
        return cut


def _described(values: Values, name: str) -> onnx.ValueInfoProto:
    value = values.described(name)
    if value is None:
        raise AssertionError(f"a cut that hands on {name}, whose type is not known")
    return value


def _constants_as_weights(graph: onnx.GraphProto) -> None:
    """Make large constants initializers, which is how they can be kept in another file."""
    kept = []
    for node in graph.node:
        tensor = next((a.t for a in node.attribute if a.name == "value" and a.HasField("t")), None)
        if node.op_type == "Constant" and tensor and tensor_bytes(tensor) >= SMALLEST_WEIGHT_BYTES:
            graph.initializer.add().CopyFrom(tensor)
            graph.initializer[-1].name = node.output[0]
        else:
            kept.append(node)
    if len(kept) < len(graph.node):
        del graph.node[:]
        graph.node.extend(kept)


def _weights_of(step: Step, layers: Layers, values: Values) -> dict[str, int]:
    """What weights a step uses, in bytes once loaded."""
    own = {
        name: values.resident_bytes(layers, name) for name in step.takes if name in layers.weights
    }
    if step.own_bytes:
        own[f"in {step.gives[0]}"] = step.own_bytes
    return own


def _handed_on(spine: tuple[Step, ...], values: Values) -> list[int | None]:
    """Before each step, what earlier ones hand on to it and later ones, in bytes."""
    last_use: dict[str, int] = {}
    for at, step in enumerate(spine):
        last_use.update(dict.fromkeys(step.takes, at))
    handed: list[int | None] = [0] * len(spine)
    for at, step in enumerate(spine):
        for name in step.gives:
            size = values.estimated_bytes(name)
            for place in range(at + 1, last_use.get(name, at) + 1):
                before = handed[place]
                handed[place] = None if before is None or size is None else before + size
    return handed


def _hint(layers: Layers) -> str:
    """What about the graph may be in the way."""
    branches = [step.node.op_type for step in layers.spine if step.own_bytes]
    if branches:
        return (
            f"; weights within {', '.join(sorted(set(branches)))} (as in a merged decoder) can't "
            "be cut"
        )
    return ""
