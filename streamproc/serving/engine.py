"""An ensemble ready to answer: its task, its spec, and what scores chunks with its members."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Mapping, Sized
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from streamproc.clock import Timed
from streamproc.errors import Invalid
from streamproc.messages.lane import Lane
from streamproc.serving.chunk_maker import ChunkMaker
from streamproc.serving.disagreements import Disagreements
from streamproc.serving.member_health import MemberHealth
from streamproc.serving.scored_chunks import JobCount, ScoredChunks
from streamproc.serving.selection import MemberPolicy
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.task import Answer, Job, Task

ChunkT = TypeVar("ChunkT", bound=Sized)
OutputsT = TypeVar("OutputsT")
ItemT_contra = TypeVar("ItemT_contra", contravariant=True)


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
    maker: ChunkMaker = field(init=False)
    disagreements: Disagreements = field(default_factory=Disagreements)
    jobs: JobCount = field(default_factory=JobCount)

    def __post_init__(self) -> None:
        object.__setattr__(self, "maker", ChunkMaker(self.spec.tokenizer))

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
        scored = self.scored_chunks(job, lane, alone=alone, policy=policy)
        try:
            async for chunk, outputs in scored:
                job.add(chunk, outputs.result)
                queue_ms = max(queue_ms, outputs.queue_ms)
                run_ms = max(run_ms, outputs.run_ms)
        finally:
            await scored.aclose()
        answer = job.answer()
        if policy is not None and any(one.status == "skipped" for one in answer.members):
            answer = replace(answer, profile=policy.applied)
        return Timed(answer, queue_ms, run_ms)

    def scored_chunks(
        self,
        job: Job[ChunkT, OutputsT],
        lane: Lane,
        *,
        alone: bool = False,
        policy: MemberPolicy | None = None,
    ) -> ScoredChunks[ChunkT, OutputsT]:
        """Every chunk of a job with what the members said of it, in the order of the text."""

        def score(chunk: ChunkT) -> Coroutine[Any, Any, Timed[OutputsT]]:
            tokens = self.alone_tokens if alone else len(chunk)
            item = chunk if policy is None else job.select(chunk, policy)
            return self.scorer.submit(item, max(tokens, len(chunk)), lane)

        return ScoredChunks(job, lane, self.maker, score, self.jobs, self.max_document_chunks)


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
