"""Texts at a length that suits the model: the one it was trained with, or a round one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from streamproc.offline.importing.nodes import Nodes

Side = Literal["right", "left"]


@dataclass(frozen=True, slots=True)
class Padding:
    """What stands where a text has no more tokens.

    token:    the id
    length:   all texts are padded to so many tokens; None: a batch to its longest
    side:     where padding stands, of texts padded to a length
    multiple: the longest of a batch is padded to a multiple of it, where there is no length
    by_id:    whether the model looks for the id, though it may take a mask too
    """

    token: int = 0
    length: int | None = None
    side: Side = "right"
    multiple: int = 1
    by_id: bool = False

    @property
    def changes_lengths(self) -> bool:
        """Whether a batch gets longer."""
        return self.length is not None or self.multiple > 1


def lengthened(
    nodes: Nodes, mask: str, values: Mapping[str, int], padding: Padding
) -> dict[str, str]:
    """Lay out each of `values` at the length of the padding.

    mask:   (rows, tokens), 1 at tokens, which come first, and 0 behind them
    values: names of values, (rows, tokens) int64, and what each is filled up with
    returns: what each of them became, (rows, length)
    A row with more tokens than the length fails: it is not cut off silently.
    """
    zero, one = nodes.constant(np.array(0)), nodes.constant(np.array(1))
    lengths = nodes.add("ReduceSum", [mask, nodes.constant(np.array([1]))], keepdims=1)
    tokens = nodes.add("Gather", [nodes.add("Shape", [mask]), one])
    place = _places(nodes, tokens, lengths, padding)
    if padding.side == "left":
        before = nodes.add("Sub", [nodes.constant(np.array(padding.length)), lengths])
        place = nodes.add("Sub", [place, before])
    too_early = nodes.add("Less", [place, zero])
    too_late = nodes.add("Not", [nodes.add("Less", [place, lengths])])
    beside = nodes.add("Or", [too_early, too_late])
    # One column of filler is put behind the tokens, and stands wherever there are none.
    index = nodes.add("Where", [beside, tokens, place])
    column = nodes.add("Shape", [lengths])
    made = {}
    for value, filler in values.items():
        filled = nodes.add("Expand", [nodes.constant(np.array([[filler]])), column])
        widened = nodes.add("Concat", [value, filled], axis=1)
        made[value] = nodes.add("GatherElements", [widened, index], axis=1)
    return made


def _places(nodes: Nodes, tokens: str, lengths: str, padding: Padding) -> str:
    """(rows or 1, length) numbers from 0."""
    if padding.length is not None:
        places = nodes.constant(np.arange(padding.length)[None])
        # An index beyond this table is an error, and its rows are texts longer than the length.
        table = nodes.constant(np.zeros(padding.length + 1, np.int64))
        return nodes.add("Add", [places, nodes.add("Gather", [table, lengths])])
    zero, one = nodes.constant(np.array(0)), nodes.constant(np.array(1))
    multiple = nodes.constant(np.array(padding.multiple))
    some = nodes.add("Max", [tokens, one])  # so that an empty text is padding, not nothing
    most = nodes.add("Add", [some, nodes.constant(np.array(padding.multiple - 1))])
    length = nodes.add("Mul", [nodes.add("Div", [most, multiple]), multiple])
    return nodes.add("Range", [zero, length, one])
