"""An ensemble ready to answer: its task, its spec, and what scores chunks with its members."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Iterator, Mapping, Sized
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from streamproc.clock import Timed
from streamproc.errors import Invalid
from streamproc.messages.lane import Lane
from streamproc.serving.chunking.encoding_batches import EncodingBatches
from streamproc.serving.disagreements import Disagreements
from streamproc.serving.fairness import FairTurns
from streamproc.serving.member_health import MemberHealth
from streamproc.serving.selection import MemberPolicy
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.task import Answer, Job, Task

ChunkT = TypeVar("ChunkT", bound=Sized)
OutputsT = TypeVar("OutputsT")
ItemT_contra = TypeVar("ItemT_contra", contravariant=True)

# Below this, making a chunk takes less time than handing it to a thread would.
_INLINE_CHARACTERS = 8_192


class Scorer(Protocol[ItemT_contra, OutputsT]):
    """What chunks of many requests are handed to: a batcher, or a loop that decodes."""

    def submit(
        self, item: ItemT_contra, tokens: int, lane: Lane, /
    ) -> Coroutine[Any, Any, Timed[OutputsT]]:
        """The members' outputs for one chunk; waits while the lane's queue is full."""
        ...

    @property
    def queued_tokens(self) -> int:
        """Tokens of chunks that wait."""
        ...

    async def close(self) -> None:
        """Wait for what is under way; nothing may be submitted any more."""
        ...


AnyScorer = Scorer[Any, Any]
"""Of chunks and outputs as the engine's task has them."""


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


@dataclass(frozen=True, slots=True)
class Engine:
    """max_document_chunks: chunks of one document in the works at a time, so that documents take
    turns and a long one costs no more memory than a short one.
    health: how the members do
    alone_tokens: what a chunk says it is long, so that it runs beside no other
    jobs: those that it is at
    disagreements: the last requests that members chose otherwise for
    """

    task: Task
    spec: EnsembleSpec
    scorer: AnyScorer
    max_document_chunks: int
    health: MemberHealth
    alone_tokens: int
    encodings: EncodingBatches = field(init=False)
    turns: FairTurns = field(default_factory=FairTurns)
    disagreements: Disagreements = field(default_factory=Disagreements)
    jobs: JobCount = field(default_factory=JobCount)

    def __post_init__(self) -> None:
        object.__setattr__(self, "encodings", EncodingBatches(self.spec.tokenizer))

    async def drain(self) -> None:
        """Finish the jobs that it is at; the caller sees to it that there are no new ones."""
        await self.jobs.none_left()
        await self.scorer.close()

    async def answer(
        self,
        job: Job[ChunkT, OutputsT],
        lane: Lane,
        *,
        alone: bool = False,
        policy: MemberPolicy | None = None,
    ) -> Timed[Answer]:
        """chunk → encode → queue → batch → fan out → combine → stitch

        alone: each chunk runs by itself, so that no neighbour's trouble is this job's
        policy: which members are asked; None: all
        Returns the answer with the times of the chunk that waited longest, and that took longest.
        Raises whatever a chunk's batch raised; the document's other chunks are then taken back.
        """
        queue_ms, run_ms = 0.0, 0.0
        scoring = self.scored_chunks(job, lane, alone=alone, policy=policy)
        async with aclosing(scoring) as scored:
            async for chunk, outputs in scored:
                job.add(chunk, outputs.result)
                queue_ms = max(queue_ms, outputs.queue_ms)
                run_ms = max(run_ms, outputs.run_ms)
        answer = job.answer()
        if policy is not None and any(one.status == "skipped" for one in answer.members):
            answer = replace(answer, profile=policy.applied)
        return Timed(answer, queue_ms, run_ms)

    async def scored_chunks(
        self,
        job: Job[ChunkT, OutputsT],
        lane: Lane,
        *,
        alone: bool = False,
        policy: MemberPolicy | None = None,
    ) -> AsyncGenerator[tuple[ChunkT, Timed[OutputsT]], None]:
        """Every chunk of a job with what the members said of it, in the order of the text."""

        def score(chunk: ChunkT) -> Coroutine[Any, Any, Timed[OutputsT]]:
            tokens = self.alone_tokens if alone else len(chunk)
            item = chunk if policy is None else job.select(chunk, policy)
            return self.scorer.submit(item, max(tokens, len(chunk)), lane)

        self.jobs.begin()
        under_way: deque[tuple[ChunkT, asyncio.Task[Timed[OutputsT]]]] = deque()
        try:
            if job.texts and job.characters <= _INLINE_CHARACTERS:
                job.encoded = await self.encodings.encode(job.texts, lane)
            chunks = job.chunks()
            chunk = await self._next(job, chunks, lane)
            while chunk is not None or under_way:
                if chunk is not None and len(under_way) < self.max_document_chunks:
                    following = await self._next(job, chunks, lane)
                    if following is None and not under_way:
                        # Most requests have a single chunk, which needs no task of its own.
                        yield chunk, await score(chunk)
                        return
                    under_way.append((chunk, asyncio.ensure_future(score(chunk))))
                    chunk = following
                else:
                    first, task = under_way.popleft()
                    yield first, await task
        finally:
            self.jobs.end()
            for _, task in under_way:
                task.cancel()
            if under_way:
                await asyncio.gather(*(task for _, task in under_way), return_exceptions=True)

    async def _next(
        self, job: Job[ChunkT, OutputsT], chunks: Iterator[ChunkT], lane: Lane
    ) -> ChunkT | None:
        """The next chunk of a job; None: there are no more."""
        if job.encoded:
            return next(chunks, None)
        if job.characters > _INLINE_CHARACTERS:
            return await asyncio.to_thread(next, chunks, None)
        await self.turns.turn(lane)
        return next(chunks, None)


class Engines(Mapping[str, Engine]):
    """The engines of one task, by the name of their ensemble; another may take the place of one.

    Whoever answers a request looks its engine up once and keeps it, so that all of the request's
    chunks are of one version.
    """

    def __init__(self, engines: Mapping[str, Engine]) -> None:
        self._engines = dict(engines)

    def named(self, name: str) -> Engine:
        """Raises Invalid when there is none, naming those there are."""
        if name not in self._engines:
            there = ", ".join(sorted(self._engines)) or "none"
            raise Invalid(
                "unknown ensemble", f"no ensemble {name!r} for this task; there are: {there}"
            )
        return self._engines[name]

    def replace(self, engine: Engine) -> Engine:
        """Let an engine answer for its ensemble from now on; returns the one that did before."""
        before = self._engines[engine.spec.name]
        self._engines[engine.spec.name] = engine
        return before

    def __getitem__(self, name: str) -> Engine:
        return self._engines[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._engines)

    def __len__(self) -> int:
        return len(self._engines)
