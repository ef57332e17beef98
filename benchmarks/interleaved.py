"""Ways to do the same, timed in turns, so that what else the machine does meets them all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Generic, TypeVar

from benchmarks.batches import by_length
from benchmarks.texts import requested
from benchmarks.workload import cut
from streamproc.serving.chunking.windows import Chunk
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec

ResultT = TypeVar("ResultT")


class Turns(Generic[ResultT]):
    """What each way took in CPU seconds, a round each, and what came of it in the last round."""

    def __init__(self, ways: Mapping[str, Callable[[], ResultT]], rounds: int) -> None:
        self._seconds: dict[str, list[float]] = {name: [] for name in ways}
        self.results: dict[str, ResultT] = {}
        for turn in range(rounds):
            for name in sorted(ways, reverse=bool(turn % 2)):
                began_s = time.process_time()
                self.results[name] = ways[name]()
                self._seconds[name].append(time.process_time() - began_s)

    def cpu_s(self, name: str) -> float:
        """Median over rounds."""
        return median(self._seconds[name])

    def ratio(self, one: str, other: str) -> float:
        """Of the CPU time of two ways in the same round, median over rounds."""
        pairs = zip(self._seconds[one], self._seconds[other], strict=True)
        return median(a / b for a, b in pairs)


def batches_of(
    spec: EnsembleSpec, texts: Sequence[str], count: int, budget_tokens: int
) -> list[list[Chunk]]:
    """The first `count` chunks of texts of mixed lengths, in batches by length."""
    chunks = [chunk for text in requested(texts, count) for chunk in cut(spec, text)][:count]
    return [[chunks[place] for place in own] for own in by_length(chunks, budget_tokens)]
