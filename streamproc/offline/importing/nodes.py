"""Nodes that are put around a graph, with names of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper, numpy_helper

_PREFIX = "adapted"


class Nodes:
    """Nodes in the order they run, and the constants they use."""

    def __init__(self, name: str) -> None:
        self._name = f"{_PREFIX}/{name}"
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(
        self, operator: str, inputs: Sequence[str], *, output: str | None = None, **attributes: Any
    ) -> str:
        """Append a node; returns the name of its output."""
        name = f"{self._name}/{len(self.nodes)}.{operator}"
        made = output or name
        self.nodes.append(helper.make_node(operator, list(inputs), [made], name, **attributes))
        return made

    def constant(self, value: NDArray[Any]) -> str:
        """A constant; whole numbers are int64, as ids are."""
        name = f"{self._name}/constant.{len(self.constants)}"
        kept = value.astype(np.int64) if np.issubdtype(value.dtype, np.integer) else value
        self.constants.append(numpy_helper.from_array(np.asarray(kept), name))
        return name
