"""The chunks of one document on their way through an ensemble."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sized
from typing import Any, TypeVar

from streamproc.clock import Timed
from streamproc.messages.lane import Lane
from streamproc.serving.chunk_maker import ChunkMaker
from streamproc.serving.tasks.task import Job

ChunkT = TypeVar("ChunkT", bound=Sized)
OutputsT = TypeVar("OutputsT")


class JobCount:
    """The jobs that an engine is at, and when there are none."""

    def __init__(self) -> None:
        self._jobs = 0
        self._none = asyncio.Event()
        self._none.set()

    def __len__(self) -> int:
        return self._jobs

    def begin(self) -> None:
        """One more."""
        self._jobs += 1
        self._none.clear()

    def end(self) -> None:
        """One less."""
        self._jobs -= 1
        if not self._jobs:
            self._none.set()

    async def none_left(self) -> None:
        """Wait until there is none."""
        await self._none.wait()


class ScoredChunks(AsyncIterator[tuple[ChunkT, Timed[OutputsT]]]):
    """Every chunk of a job with what the members said of it, in the order of the text.

    Whoever leaves it early closes it; then what waits of the document is taken back.
    No generator: what a loop does for each of those costs a tenth of a request of a single chunk.
    """

    def __init__(
        self,
        job: Job[ChunkT, OutputsT],
        lane: Lane,
        maker: ChunkMaker,
        score: Callable[[ChunkT], Coroutine[Any, Any, Timed[OutputsT]]],
        jobs: JobCount,
        most: int,
    ) -> None:
        """jobs: counts this one in from its first chunk on until it is closed
        most: chunks in the works at a time
        """
        self._job, self._lane, self._maker, self._score = job, lane, maker, score
        self._jobs, self._most = jobs, most
        self._chunks: Iterator[ChunkT] | None = None
        self._next: ChunkT | None = None
        self._under_way: deque[tuple[ChunkT, asyncio.Task[Timed[OutputsT]]]] = deque()
        self._is_counted = False

    async def __anext__(self) -> tuple[ChunkT, Timed[OutputsT]]:
        try:
            if self._chunks is None:
                self._is_counted = True
                self._jobs.begin()
                self._chunks = await self._maker.begin(self._job, self._lane)
                self._next = await self._maker.following(self._job, self._chunks, self._lane)
            while self._next is not None and len(self._under_way) < self._most:
                chunk = self._next
                self._next = await self._maker.following(self._job, self._chunks, self._lane)
                if self._next is None and not self._under_way:
                    # Most requests have a single chunk, which needs no task of its own.
                    return chunk, await self._score(chunk)
                self._under_way.append((chunk, asyncio.ensure_future(self._score(chunk))))
            if self._under_way:
                chunk, task = self._under_way.popleft()
                return chunk, await task
        except BaseException:
            await self.aclose()
            raise
        await self.aclose()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Take back what waits; nothing happens at the end of the document."""
        if not self._is_counted:
            return
        self._is_counted = False
        self._next = None
        self._jobs.end()
        for _, task in self._under_way:
            task.cancel()
        if self._under_way:
            await asyncio.gather(*(task for _, task in self._under_way), return_exceptions=True)
            self._under_way.clear()
