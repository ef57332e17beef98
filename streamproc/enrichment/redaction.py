"""Texts with their entities masked, by the offsets that the models gave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Mask(NamedTuple):
    """Characters [start, end) of a text, and what stands for them."""

    start: int
    end: int
    text: str


def masks_of(
    entities: Iterable[Mapping[str, Any]], labels: Iterable[str], with_: str
) -> list[Mask]:
    """A mask for each entity of one of the labels.

    entities: as token classification gives them, grouped or by token (`B-PER`)
    with_: what stands for an entity; {label} is its label
    """
    wanted, masks = frozenset(labels), []
    for entity in entities:
        label = str(entity.get("entity_group") or entity["entity"])
        label = label if label in wanted else label.removeprefix("B-").removeprefix("I-")
        if label in wanted:
            masks.append(Mask(entity["start"], entity["end"], with_.replace("{label}", label)))
    return masks


def masked(text: str, masks: Iterable[Mask]) -> str:
    """The text with every character that a mask covers hidden.

    Of masks that overlap the first one stands for all, of those that begin together the longest.
    """
    pieces, at, hidden_to = [], 0, 0
    covering = (mask for mask in masks if mask.end > mask.start)
    for mask in sorted(covering, key=lambda one: (one.start, -one.end, one.text)):
        if mask.start >= hidden_to:
            pieces += [text[at : mask.start], mask.text]
        hidden_to = at = max(hidden_to, mask.end)
    return "".join((*pieces, text[at:]))
