"""Contenders without Kafka: the ceiling, one chunk at a time, and batches as they come."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np

from benchmarks.answers import stitched
from benchmarks.batches import as_they_come, by_length, padding_factor
from benchmarks.measure import Round, timed
from benchmarks.workload import Workload, cut
from streamproc.chunking.windows import Chunk
from streamproc.inference.outputs import Batch, FloatArray
from streamproc.inference.session import new_call

CEILING = "ceiling"
CONTROL = "one at a time"
ARRIVAL_BATCH = 32
ARRIVAL = f"arrival batches of {ARRIVAL_BATCH}"


class Ceiling:
    """What ONNX Runtime gives on so many threads: batches cut and padded before the clock starts.

    No tokenizing, no Kafka, no JSON: nothing that does the same work can be faster by much.
    """

    name = CEILING

    def __init__(self, workload: Workload, threads: int, budget_tokens: int) -> None:
        self._workload = workload
        self._threads = threads
        flat = list(chain.from_iterable(workload.chunks))
        self._batches = by_length(flat, budget_tokens)
        self._padded = [Batch.pad([flat[index] for index in batch]) for batch in self._batches]
        self._padding = padding_factor(flat, self._batches)

    async def round(self) -> Round:
        return await timed(self._answer, self._padding)

    def _answer(self) -> FloatArray:
        sessions = self._workload.sessions
        calls = [(session, batch) for batch in self._padded for session in sessions]
        with ThreadPoolExecutor(self._threads) as pool:
            scores = list(pool.map(lambda call: np.stack(call[0].run(call[1], new_call())), calls))
        # Back from the batches' order to the chunks'.
        order = np.argsort(np.concatenate(self._batches))
        logits = [np.concatenate(scores[m :: len(sessions)])[order] for m in range(len(sessions))]
        return stitched(self._workload.profile, self._workload.chunks, logits)


class OneAtATime:
    """Every thread takes a request: tokenizes it, and runs its chunks alone, member by member."""

    name = CONTROL

    def __init__(self, workload: Workload, threads: int) -> None:
        self._workload = workload
        self._threads = threads

    async def round(self) -> Round:
        return await timed(self._answer, 1.0)

    def _answer(self) -> FloatArray:
        with ThreadPoolExecutor(self._threads) as pool:
            return np.concatenate(list(pool.map(self._one, self._workload.texts)))

    def _one(self, text: str) -> FloatArray:
        chunks = cut(self._workload.profile, text)
        batches = [[index] for index in range(len(chunks))]
        return stitched(self._workload.profile, [chunks], run_all(self._workload, chunks, batches))


class ArrivalBatches:
    """Every thread takes 32 requests as they come, pads their chunks to the longest of 32, runs."""

    name = ARRIVAL

    def __init__(self, workload: Workload, threads: int, size: int = ARRIVAL_BATCH) -> None:
        self._workload = workload
        self._threads = threads
        self._size = size
        self._taken = as_they_come(len(workload.texts), size)
        parts = [
            (chunks := self._flat(taken), as_they_come(len(chunks), size)) for taken in self._taken
        ]
        padded = sum(padding_factor(*part) * sum(map(len, part[0])) for part in parts)
        self._padding = padded / workload.tokens

    def _flat(self, taken: Sequence[int]) -> list[Chunk]:
        return [chunk for index in taken for chunk in self._workload.chunks[index]]

    async def round(self) -> Round:
        return await timed(self._answer, self._padding)

    def _answer(self) -> FloatArray:
        with ThreadPoolExecutor(self._threads) as pool:
            return np.concatenate(list(pool.map(self._some, self._taken)))

    def _some(self, taken: Sequence[int]) -> FloatArray:
        own = [cut(self._workload.profile, self._workload.texts[index]) for index in taken]
        flat = list(chain.from_iterable(own))
        batches = as_they_come(len(flat), self._size)
        return stitched(self._workload.profile, own, run_all(self._workload, flat, batches))


def run_all(
    workload: Workload, chunks: Sequence[Chunk], batches: Sequence[Sequence[int]]
) -> list[FloatArray]:
    """Of each member, one after another, logits (chunks, outputs); batches are in order."""
    padded = [Batch.pad([chunks[index] for index in batch]) for batch in batches]
    return [
        np.stack([row for batch in padded for row in session.run(batch, new_call())])
        for session in workload.sessions
    ]
