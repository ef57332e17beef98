"""A model in stages, each a session of its own, which looks like one session to the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from streamproc.errors import ModelRefused
from streamproc.serving.guarded_calls import Call
from streamproc.serving.inference.graph_session import GraphSession, GraphValue
from streamproc.serving.inference.providers import Provider
from streamproc.serving.inference.residency import Residency
from streamproc.serving.inference.session_factory import open_session
from streamproc.types import AnyArray


class StageFiles(Protocol):
    """A stage on disk.

    resident_bytes: what its weights take once they are loaded
    """

    resident_bytes: int

    def files(self) -> tuple[bytes, Path]:
        """The graph, and the folder in which it finds its weights; raises ModelRefused."""
        ...


@dataclass(frozen=True, slots=True)
class Value:
    """An input or output, as ONNX Runtime describes it."""

    name: str
    type: str
    shape: Sequence[Any]


class _Stage:
    """A stage on its device; what its graph takes and gives is learnt when it is first loaded."""

    def __init__(self, name: str, files: StageFiles, provider: Provider) -> None:
        self.name = name
        self.resident_bytes = files.resident_bytes
        self.inputs: tuple[Value, ...] = ()
        self.outputs: tuple[Value, ...] = ()
        self._files, self._provider = files, provider

    def load(self) -> GraphSession:
        graph, folder = self._files.files()
        return open_session(self.name, graph, self._provider, folder)

    def describe(self, session: GraphSession) -> None:
        self.inputs, self.outputs = _values(session.get_inputs()), _values(session.get_outputs())


class StagedSession:
    """What is left of `onnxruntime.InferenceSession` when a model is in stages.

    Several threads may call at once. What a stage hands to later ones goes through host memory.
    """

    def __init__(
        self, name: str, stages: Sequence[StageFiles], provider: Provider, residency: Residency
    ) -> None:
        """Load each stage once, in order; raises ModelRefused."""
        residency.require_room(f"member {name}", max(stage.resident_bytes for stage in stages))
        self._residency = residency
        self._stages = [
            _Stage(
                f"{name} (stage {number} of {len(stages)})",
                files,
                provider.of_part(number - 1, len(stages)),
            )
            for number, files in enumerate(stages, 1)
        ]
        for stage in self._stages:
            residency.use(stage, stage.describe)
        made: dict[str, Value] = {}
        asked: dict[str, Value] = {}
        for stage in self._stages:
            asked |= {value.name: value for value in stage.inputs if value.name not in made}
            twice = [value.name for value in stage.outputs if value.name in made]
            if twice:
                raise ModelRefused(f"member {stage.name} computes {', '.join(twice)} again")
            made |= {value.name: value for value in stage.outputs}
        self._inputs, self._outputs = list(asked.values()), list(made.values())

    def get_inputs(self) -> list[Value]:
        """What no stage makes, but some take."""
        return self._inputs

    def get_outputs(self) -> list[Value]:
        """What any stage makes."""
        return self._outputs

    def run(
        self, outputs: Sequence[str], feeds: Mapping[str, AnyArray], call: Call, /
    ) -> list[AnyArray]:
        """The outputs in order; raises what ONNX Runtime raises, and ModelRefused."""
        known = dict(feeds)
        for place, stage in enumerate(self._stages):
            if call.terminate:
                raise RuntimeError("told to end early")
            later = {value.name for after in self._stages[place + 1 :] for value in after.inputs}
            wanted = [value.name for value in stage.outputs if value.name in later.union(outputs)]
            own = {value.name: known[value.name] for value in stage.inputs}
            made = self._residency.use(stage, _running(wanted, own, call))
            # What no later stage takes is let go at once.
            known = {name: value for name, value in known.items() if name in later.union(outputs)}
            known |= dict(zip(wanted, made, strict=True))
        return [known[name] for name in outputs]


def _running(
    wanted: Sequence[str], feeds: Mapping[str, AnyArray], call: Call
) -> Callable[[GraphSession], Sequence[AnyArray]]:
    return lambda session: session.run(wanted, feeds, call)


def _values(nodes: Sequence[GraphValue]) -> tuple[Value, ...]:
    return tuple(Value(node.name, node.type, tuple(node.shape)) for node in nodes)
