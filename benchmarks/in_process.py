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
from streamproc.serving.chunking.windows import Chunk
from streamproc.serving.inference.batch import Batch
from streamproc.serving.inference.members import Members
from streamproc.serving.inference.session import new_call
from streamproc.types import FloatArray

CEILING = "ceiling"
WHOLE_CEILING = "whole fp32 members"
CONTROL = "one at a time"
ARRIVAL_BATCH = 32
ARRIVAL = f"arrival batches of {ARRIVAL_BATCH}"


class Ceiling:
    """What ONNX Runtime gives on so many threads: batches are made before the clock starts.

    No tokenizing, no Kafka, no JSON: nothing that does the same work can be faster by much.
    """

    def __init__(
        self, workload: Workload, threads: int, budget_tokens: int, name: str = CEILING
    ) -> None:
        self.name = name
        self._workload = workload
        self._threads = threads
        flat = list(chain.from_iterable(workload.chunks))
        self._batches = by_length(flat, budget_tokens)
        self._chunks = [[flat[index] for index in batch] for batch in self._batches]
        self._padding = padding_factor(flat, self._batches)

    async def round(self) -> Round:
        return await timed(self._answer, self._padding)

    def _answer(self) -> FloatArray:
        members = self._workload.members
        with ThreadPoolExecutor(self._threads) as pool:
            scores = list(pool.map(lambda batch: run_members(members, batch), self._chunks))
        # Back from the batches' order to the chunks'.
        order = np.argsort(np.concatenate(self._batches))
        logits = [np.concatenate(own)[order] for own in zip(*scores, strict=True)]
        return stitched(self._workload.spec, self._workload.chunks, logits)


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
        chunks = cut(self._workload.spec, text)
        batches = [[index] for index in range(len(chunks))]
        return stitched(self._workload.spec, [chunks], run_all(self._workload, chunks, batches))


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
        own = [cut(self._workload.spec, self._workload.texts[index]) for index in taken]
        flat = list(chain.from_iterable(own))
        batches = as_they_come(len(flat), self._size)
        return stitched(self._workload.spec, own, run_all(self._workload, flat, batches))


def run_all(
    workload: Workload, chunks: Sequence[Chunk], batches: Sequence[Sequence[int]]
) -> list[FloatArray]:
    """Of each member, logits (chunks, outputs); one batch after another, which are in order."""
    scores = [run_members(workload.members, [chunks[index] for index in b]) for b in batches]
    return [np.concatenate(own) for own in zip(*scores, strict=True)]


def run_members(members: Members, chunks: Sequence[Chunk]) -> list[FloatArray]:
    """Of each member, one after another, logits (chunks, outputs) of one batch."""
    batch = Batch.pad(members.run_backbone(chunks))
    return [np.stack(session.run(batch, new_call())) for session in members.sessions]
