"""What is asked of an ONNX Runtime session, whole or in stages; the runtime publishes no types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from streamproc.serving.guarded_calls import Call
from streamproc.types import AnyArray


class GraphValue(Protocol):
    """An input or output of a graph; an axis of no fixed size has a name, or none."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def shape(self) -> Sequence[Any]: ...


class GraphSession(Protocol):
    """A graph that is loaded; several threads may call at once."""

    def get_inputs(self) -> Sequence[GraphValue]: ...
    def get_outputs(self) -> Sequence[GraphValue]: ...
    def run(
        self, outputs: Sequence[str], feeds: Mapping[str, AnyArray], call: Call, /
    ) -> Sequence[AnyArray]:
        """The outputs in the order asked for; raises what ONNX Runtime raises."""
        ...
