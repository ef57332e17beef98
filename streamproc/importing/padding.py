"""Texts at the one length that a model takes, or was trained with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from streamproc.importing.nodes import Nodes

Side = Literal["right", "left"]


@dataclass(frozen=True, slots=True)
class Padding:
    """What stands where a text has no more tokens.

    token: the id
    length: all texts are padded to so many tokens; None: a batch to its longest
    side: where padding stands, of texts padded to a length
    """

    token: int = 0
    length: int | None = None
    side: Side = "right"


def padded_to_length(nodes: Nodes, mask: str, values: dict[str, int], padding: Padding) -> None:
    """Lay out each of `values` at the length of the padding.

    mask:   (rows, tokens), 1 at tokens, which come first, and 0 behind them
    values: name of a value, (rows, tokens) int64, and what it is filled up with; each becomes the
            value `NAME/padded`, (rows, length)
    A row with more tokens than the length fails: it is not cut off silently.
    """
    length = padding.length
    assert length is not None  # noqa: S101  # whoever calls has asked
    lengths = nodes.add("ReduceSum", [mask, nodes.constant(np.array([1]))], keepdims=1)
    # An index beyond this table is an error, and its rows are texts longer than the length.
    within = nodes.add("Gather", [nodes.constant(np.zeros(length + 1, np.int64)), lengths])
    place = nodes.add("Add", [nodes.constant(np.arange(length)[None]), within])
    if padding.side == "left":
        before = nodes.add("Sub", [nodes.constant(np.array(length)), lengths])
        place = nodes.add("Sub", [place, before])
    zero = nodes.constant(np.array(0))
    too_early = nodes.add("Less", [place, zero])
    too_late = nodes.add("Not", [nodes.add("Less", [place, lengths])])
    beside = nodes.add("Or", [too_early, too_late])
    tokens = nodes.add("Gather", [nodes.add("Shape", [mask]), nodes.constant(np.array(1))])
    # One column of filler is put behind the tokens, and stands wherever there are none.
    index = nodes.add("Where", [beside, tokens, place])
    column = nodes.add("Shape", [lengths])
    for value, filler in values.items():
        filled = nodes.add("Expand", [nodes.constant(np.array([[filler]])), column])
        widened = nodes.add("Concat", [value, filled], axis=1)
        nodes.add("GatherElements", [widened, index], axis=1, output=f"{value}/padded")
