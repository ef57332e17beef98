"""Entities of a text whose windows overlap."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from operator import itemgetter

from streamproc.serving.tasks.entities import Entity, EntityBuilder, TokenRun


class EntityStitching(ABC):
    """What one opinion, a member's or the ensemble's, comes to over all windows."""

    @abstractmethod
    def add(self, run: TokenRun, counted: slice) -> None:
        """Take the next window's tokens; counted: those that sit deepest in this window."""

    @abstractmethod
    def skip(self) -> None:
        """Take note that nothing is known of the next window."""

    @abstractmethod
    def __len__(self) -> int:
        """How many entities are held so far."""

    @abstractmethod
    def entities(self) -> list[Entity]:
        """All entities, once every window was added."""


class MaxContextStitcher(EntityStitching):
    """Every token counts once, in the window in which it sits deepest; entities and words go on
    over the edges of windows."""

    def __init__(self, new_builder: Callable[[], EntityBuilder]) -> None:
        self._builder = new_builder()

    def add(self, run: TokenRun, counted: slice) -> None:
        self._builder.add(run.part(counted))

    def skip(self) -> None:
        self._builder.end()

    def __len__(self) -> int:
        return len(self._builder)

    def entities(self) -> list[Entity]:
        return self._builder.entities()


class LongestSpanStitcher(EntityStitching):
    """Every window has entities of its own; of two that overlap the longer stays."""

    def __init__(self, new_builder: Callable[[], EntityBuilder]) -> None:
        self._new_builder = new_builder
        self._found: list[Entity] = []
        self._windows = 0

    def add(self, run: TokenRun, counted: slice) -> None:
        builder = self._new_builder()
        builder.add(run)
        self._found += builder.entities()
        self._windows += 1

    def skip(self) -> None:
        self._windows += 1

    def __len__(self) -> int:
        return len(self._found)

    def entities(self) -> list[Entity]:
        return without_overlaps(self._found) if self._windows > 1 else self._found


def without_overlaps(entities: Iterable[Entity]) -> list[Entity]:
    """Of entities that overlap the longest, of equally long ones that with the highest score.

    As `aggregate_overlapping_entities` of transformers 4.57.6: sorted by start, each compared with
    the one that stands before it.
    """
    kept: list[Entity] = []
    for entity in sorted(entities, key=itemgetter("start")):
        if not kept or entity["start"] >= kept[-1]["end"]:
            kept.append(entity)
        elif _rank(entity) > _rank(kept[-1]):
            kept[-1] = entity
    return kept


def _rank(entity: Entity) -> tuple[int, float]:
    return entity["end"] - entity["start"], entity["score"]
