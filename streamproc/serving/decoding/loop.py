"""Continuous batching: sequences join and leave a running batch between two steps.

submit → wait for room → start with every member → join → step → combine → advance → … → leave

A lane is a batch of its own, so that bulk takes no rows from interactive requests. Its calls wait
for a model's thread behind theirs, and go on whenever one is free: while the others' scores are
combined at the latest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence as List
from contextvars import Context

from streamproc.clock import Clock, Timed
from streamproc.messages.lane import Lane
from streamproc.serving.decoding.combining import combine_all
from streamproc.serving.decoding.decoding_metrics import DecodingMetrics, Ended
from streamproc.serving.decoding.kv_cache_budget import KVCacheBudget, KVCacheLimits
from streamproc.serving.decoding.member import AnyMember
from streamproc.serving.decoding.prompt import Outcome, Prompt
from streamproc.serving.decoding.sequence import Sequence
from streamproc.tracing.tracer import NO_ENSEMBLE_TRACER, ChunkSpans, EnsembleTracer

# Prompts read between two steps at most: those that are being written wait for that long, and the
# last of many that come at once waits for so many fewer steps before its first token.
_STARTS = 4


class DecodingLoop:
    """Decodes the prompts of one ensemble with all its members."""

    def __init__(
        self,
        members: List[AnyMember],
        limits: KVCacheLimits,
        clock: Clock,
        metrics: DecodingMetrics,
        traces: EnsembleTracer = NO_ENSEMBLE_TRACER,
        *,
        join_every: int = 1,
    ) -> None:
        """join_every: steps between which sequences join a batch that runs

        More than one for members that step only rows of one length together: each time's newcomers
        are of one length from then on.
        """
        self._batches = {
            lane: _Batch(members, limits, lane, clock, metrics, traces, join_every) for lane in Lane
        }

    async def submit(self, item: Prompt, tokens: int, lane: Lane, /) -> Timed[Outcome]:
        """What the members, step by step combined, made of a prompt; waits for room.

        Raises QuorumNotMet, and WorkerFault where that is no fault of the prompt's. Cancelling
        takes the sequence out at the next step.
        """
        return await self._batches[lane].submit(item, tokens)

    @property
    def queued_tokens(self) -> int:
        """Tokens that wait for room, both lanes."""
        return sum(batch.cache_budget.waiting_tokens for batch in self._batches.values())

    async def close(self) -> None:
        """Wait for what is under way; nothing may be submitted any more."""
        await asyncio.gather(*(batch.close() for batch in self._batches.values()))


class _Batch:
    """The sequences of one lane."""

    def __init__(
        self,
        members: List[AnyMember],
        limits: KVCacheLimits,
        lane: Lane,
        clock: Clock,
        metrics: DecodingMetrics,
        traces: EnsembleTracer,
        join_every: int,
    ) -> None:
        self._traces = traces
        self._join_every = join_every
        self.cache_budget = KVCacheBudget(limits)
        self._members = tuple(members)
        self._names = [member.name for member in members]
        self._lane = lane
        self._priority = int(lane)
        self._clock = clock
        self._metrics = metrics
        self._starts = asyncio.Semaphore(_STARTS)
        self._ready: list[Sequence] = []
        self._active: list[Sequence] = []
        self._stepping: asyncio.Task[None] | None = None

    async def submit(self, prompt: Prompt, tokens: int) -> Timed[Outcome]:
        with self._traces.chunk() as spans:
            return await self._submit(prompt, tokens, spans)

    async def _submit(self, prompt: Prompt, tokens: int, spans: ChunkSpans) -> Timed[Outcome]:
        since_s = self._clock.monotonic_s()
        async with self.cache_budget.taken(prompt.beams, tokens):
            loop = asyncio.get_running_loop()
            sequence = Sequence(prompt, loop.create_future(), self._names)
            ended: Ended = "cancelled"
            self._metrics.begun()
            try:
                async with self._starts:
                    started_s = self._clock.monotonic_s()
                    spans.taken()
                    with spans.current():
                        has_begun = await self._start(sequence)
                    if has_begun:
                        spans.first_token()
                        self._metrics.first_token(self._clock.monotonic_s() - since_s, self._lane)
                if not sequence.gone:
                    self._ready.append(sequence)
                    if self._stepping is None:
                        # The steps are those of all that take part, not of this one's trace.
                        self._stepping = loop.create_task(self._step_on(), context=Context())
                outcome = await sequence.reply
                ended = outcome.decoded.finish_reason if outcome.decoded else "failed"
            except Exception:
                ended = "failed"
                raise
            finally:
                self._metrics.ended(ended)
                sequence.gone = True
                sequence.reply.cancel()
        queue_ms = (started_s - since_s) * 1000
        run_ms = (self._clock.monotonic_s() - started_s) * 1000
        self._metrics.answered(queue_ms, run_ms)
        return Timed(outcome, queue_ms, run_ms)

    async def close(self) -> None:
        while self._stepping is not None:
            await asyncio.wait({self._stepping})

    async def _start(self, sequence: Sequence) -> bool:
        """Have all members read the prompt; returns whether there is a first token."""
        self._metrics.read(len(sequence.prompt.ids))
        asked = sequence.prompt.members
        found = await asyncio.gather(
            *(self._members[member].start(sequence.prompt.ids, self._priority) for member in asked)
        )
        for member, stepped in zip(asked, found, strict=True):
            sequence.take(member, stepped)
        return await self._advance([sequence]) > 0

    async def _step_on(self) -> None:
        """Step until no sequence is left."""
        steps = 0
        try:
            while True:
                self._active = [sequence for sequence in self._active if not sequence.gone]
                if not self._active or steps % self._join_every == 0:
                    self._active += [sequence for sequence in self._ready if not sequence.gone]
                    self._ready.clear()
                    steps = 0
                if not self._active:
                    return
                steps += 1
                await self._step(self._active)
        except BaseException as error:
            for sequence in (*self._active, *self._ready):
                sequence.fail(error)
            self._active, self._ready = [], []
            if not isinstance(error, Exception):
                raise
        finally:
            self._stepping = None

    async def _step(self, active: List[Sequence]) -> None:
        self._metrics.stepped(sum(sequence.rows for sequence in active))
        taking_part = [
            [sequence for sequence in active if sequence.has(member)]
            for member in range(len(self._members))
        ]
        columns = await asyncio.gather(
            *(
                member.step([sequence.next_rows(index) for sequence in sequences], self._priority)
                for index, (member, sequences) in enumerate(
                    zip(self._members, taking_part, strict=True)
                )
                if sequences
            )
        )
        asked = [index for index, sequences in enumerate(taking_part) if sequences]
        for index, column in zip(asked, columns, strict=True):
            for sequence, stepped in zip(taking_part[index], column, strict=True):
                sequence.take(index, stepped)
        await self._advance(active)

    async def _advance(self, sequences: List[Sequence]) -> int:
        """Combine and choose, in a thread: over a large vocabulary it takes milliseconds a row.

        Returns how many have become a token longer.
        """
        enough = [sequence for sequence in sequences if not sequence.fail_below_quorum()]
        longer = 0
        for sequence, error in await asyncio.to_thread(_advance_all, enough):
            if error is not None:
                sequence.fail(error)
                continue
            longer += 1
            if sequence.is_done:
                sequence.finish()
        self._metrics.wrote(longer)
        return longer


def _advance_all(sequences: List[Sequence]) -> list[tuple[Sequence, Exception | None]]:
    advanced: list[tuple[Sequence, Exception | None]] = []
    for sequence, scores in combine_all(sequences):
        if isinstance(scores, Exception):
            advanced.append((sequence, scores))
            continue
        try:
            sequence.advance(scores)
        except Exception as error:  # noqa: BLE001 - one sequence's trouble must not be another's
            advanced.append((sequence, error))
        else:
            advanced.append((sequence, None))
    return advanced
