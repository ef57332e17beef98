"""Laying each member's outputs out by the ensemble's labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamproc.errors import ModelRefused
from streamproc.types import BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Where each of a member's outputs goes among the ensemble's labels.

    sources: (known labels,) int, indices of the member's outputs that are used
    targets: (known labels,) int, the ensemble's label each of them is
    known:   (labels,) bool, the labels that this member can tell
    """

    outputs: int
    sources: NDArray[np.intp]
    targets: NDArray[np.intp]
    known: BoolArray

    @classmethod
    def between(
        cls, member: str, outputs: Sequence[str], labels: Sequence[str], *, least: int = 2
    ) -> LabelMap:
        """The map from a member's output names to `labels`; an empty name is an output to ignore.

        least: how many labels a member must know; one says nothing where they exclude each other
        Raises ModelRefused when a name is no label of the ensemble, or stands twice.
        """
        used = [(source, name) for source, name in enumerate(outputs) if name]
        names = [name for _, name in used]
        strange = sorted(set(names) - set(labels))
        if strange:
            raise ModelRefused(
                f"member {member}: {', '.join(strange)} is not a label of the ensemble; "
                f"its labels are {', '.join(labels)}"
            )
        if len(set(names)) != len(names) or len(names) < least:
            raise ModelRefused(
                f"member {member}: needs at least {'two labels' if least == 2 else 'one label'}, "
                f"each once; found {list(outputs)}"
            )
        known = np.zeros(len(labels), np.bool_)
        targets = np.array([list(labels).index(name) for name in names], np.intp)
        known[targets] = True
        return cls(len(outputs), np.array([source for source, _ in used], np.intp), targets, known)

    @classmethod
    def none(cls) -> LabelMap:
        """The map of a member of an ensemble without labels."""
        nothing = np.empty(0, np.intp)
        return cls(0, nothing, nothing, np.empty(0, np.bool_))

    def align(self, values: FloatArray) -> FloatArray:
        """(..., outputs) laid out as (..., labels), NaN where the member knows no such label."""
        placed = np.full((*values.shape[:-1], len(self.known)), np.nan)
        placed[..., self.targets] = values[..., self.sources]
        return placed
