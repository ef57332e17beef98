"""From single items to batches and back: callers await one result, a model sees many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence, Sized
from contextvars import Context
from dataclasses import dataclass
from typing import Generic, TypeVar

from streamproc.clock import Clock, Timed
from streamproc.errors import StreamprocError
from streamproc.messages.lane import Lane
from streamproc.serving.batching.batch_metrics import BatchMetrics
from streamproc.serving.batching.queue import TokenQueue
from streamproc.serving.batching.queue_limit import Budget
from streamproc.tracing.tracer import NO_ENSEMBLE_TRACER, ChunkSpans, EnsembleTracer

Item = TypeVar("Item", bound=Sized)
Result = TypeVar("Result")

RunBatch = Callable[[Sequence[Item], Lane], Awaitable[Sequence[Result]]]

# One batch in so many goes to the bulk lane though interactive chunks wait: it yields, it is not
# starved.
BULK_TURN = 16
# So long after two interactive chunks that came within that time, bulk batches have so much of the
# budget: the next one waits for the call that a model's thread is at. A single one, which may be a
# canary, is no sign that others follow. 192 of 512 tokens cost 9 % of the bulk requests.
SINCE_INTERACTIVE_S = 2.0
BULK_BUDGET = 3 / 8


@dataclass(frozen=True, slots=True)
class Limits:
    """budget_tokens: padded tokens in a batch; slots: batches under way at once;
    max_wait_ms: how long a batch that is not full waits for more;
    max_queued_tokens: tokens that may wait per lane, beyond which callers wait to put."""

    budget_tokens: int
    slots: int
    max_wait_ms: int
    max_queued_tokens: int


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Item, Result]):
    item: Item
    reply: asyncio.Future[Timed[Result]]
    since_s: float
    spans: ChunkSpans


class Batcher(Generic[Item, Result]):
    """Runs batches of the items submitted; interactive ones first, with a slot kept for them.

    Bulk batches are smaller as long as interactive items come.

    When nothing runs, what was submitted in one turn of the event loop goes at once. When all
    slots are taken, items gather, and so batches fill by themselves under load.
    """

    def __init__(
        self,
        run: RunBatch[Item, Result],
        limits: Limits,
        clock: Clock,
        metrics: BatchMetrics,
        traces: EnsembleTracer = NO_ENSEMBLE_TRACER,
    ) -> None:
        """run: one result an item; an item's length is what `metrics` counts as its tokens"""
        self._run = run
        self._traces = traces
        self._metrics = metrics
        metrics.queued_tokens.set_function(lambda: self.queued_tokens)
        self._limits = limits
        self._clock = clock
        self._queues: dict[Lane, TokenQueue[_Waiting[Item, Result]]] = {
            lane: TokenQueue() for lane in Lane
        }
        self._budgets = {lane: Budget(limits.max_queued_tokens) for lane in Lane}
        self._running: set[asyncio.Task[None]] = set()
        # Interactive batches since bulk's last one, while bulk chunks waited.
        self._batches_since_bulk = 0
        self._last_interactive_s = float("-inf")
        self._small_bulk_until_s = float("-inf")
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None

    async def submit(self, item: Item, tokens: int, lane: Lane) -> Timed[Result]:
        """The result for one item; waits while the lane's queue is full.

        Raises whatever running the item's batch raised; where that is no error of ours, running the
        item alone. Cancelling takes the item out.
        """
        with self._traces.chunk() as spans:
            return await self._submit(item, tokens, lane, spans)

    async def _submit(
        self, item: Item, tokens: int, lane: Lane, spans: ChunkSpans
    ) -> Timed[Result]:
        budget = self._budgets[lane]
        await budget.acquire(tokens)
        loop, now_s = asyncio.get_running_loop(), self._clock.monotonic_s()
        if lane is Lane.INTERACTIVE:
            if now_s - self._last_interactive_s < SINCE_INTERACTIVE_S:
                self._small_bulk_until_s = now_s + SINCE_INTERACTIVE_S
            self._last_interactive_s = now_s
        waiting = _Waiting(item, loop.create_future(), now_s, spans)
        queue = self._queues[lane]
        entry = queue.put(waiting, tokens)
        try:
            self._schedule()
            return await waiting.reply
        finally:
            queue.discard(entry)
            budget.release(tokens)

    @property
    def queued_tokens(self) -> int:
        """Tokens that wait for a batch, both lanes."""
        return sum(queue.tokens for queue in self._queues.values())

    async def close(self) -> None:
        """Wait for the batches under way; nothing ought to be submitted any more."""
        if self._timer is not None:
            self._timer.cancel()
            # Whoever looked the engine up before it was exchanged may still come, and sets another.
            self._timer = None
        while self._running:
            await asyncio.gather(*self._running, return_exceptions=True)

    def _schedule(self) -> None:
        # Not at once: the chunks that other callers submit in this turn of the loop come along.
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._scheduled = False
        while (lane := self._next_lane()) is not None:
            batch = self._queues[lane].take(self._budget_tokens(lane))
            # Not in the context of whoever came first: a batch is that of all that are in it.
            serving = self._serve(batch, lane)
            task = asyncio.get_running_loop().create_task(serving, context=Context())
            self._running.add(task)
            task.add_done_callback(self._served)

    def _budget_tokens(self, lane: Lane) -> int:
        if lane is Lane.BULK and self._clock.monotonic_s() < self._small_bulk_until_s:
            return max(1, int(self._limits.budget_tokens * BULK_BUDGET))
        return self._limits.budget_tokens

    def _next_lane(self) -> Lane | None:
        free = self._limits.slots - len(self._running)
        if free < 0:
            return None
        interactive, bulk = self._is_ready(Lane.INTERACTIVE), self._is_ready(Lane.BULK)
        # Under interactive load only the kept slot ever comes free: bulk's turn must take that one.
        bulk_turn = self._batches_since_bulk >= BULK_TURN - 1 if interactive else free > 0
        if bulk and bulk_turn:
            self._batches_since_bulk = 0
            return Lane.BULK
        if not interactive:
            return None
        self._batches_since_bulk += bulk
        return Lane.INTERACTIVE

    def _is_ready(self, lane: Lane) -> bool:
        queue = self._queues[lane]
        oldest = queue.oldest()
        if oldest is None:
            return False
        if not self._limits.max_wait_ms or queue.tokens >= self._limits.budget_tokens:
            return True
        waited_ms = (self._clock.monotonic_s() - oldest.item.since_s) * 1000
        if waited_ms >= self._limits.max_wait_ms:
            return True
        if self._timer is None:
            delay_s = (self._limits.max_wait_ms - waited_ms) / 1000
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_timer)
        return False

    def _on_timer(self) -> None:
        self._timer = None
        self._dispatch()

    def _served(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._dispatch()

    async def _serve(self, batch: list[_Waiting[Item, Result]], lane: Lane) -> None:
        started_s = self._clock.monotonic_s()
        try:
            items = [waiting.item for waiting in batch]
            lengths = [len(item) for item in items]
            self._metrics.begun(lengths)
            with self._traces.batch([waiting.spans for waiting in batch], lengths):
                results = await self._run(items, lane)
            answered = list(zip(batch, results, strict=True))
        except BaseException as error:
            foreseen = isinstance(error, StreamprocError) or not isinstance(error, Exception)
            if len(batch) > 1 and not foreseen:
                # A bug: whoever met it meets it again alone, and the others have their results.
                for waiting in batch:
                    if not waiting.reply.done():
                        await self._serve([waiting], lane)
                return
            for waiting in batch:
                if not waiting.reply.done():
                    waiting.reply.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        run_ms = (self._clock.monotonic_s() - started_s) * 1000
        all_queue_ms = all_run_ms = 0.0
        for waiting, result in answered:
            if not waiting.reply.done():
                queue_ms = (started_s - waiting.since_s) * 1000
                all_queue_ms, all_run_ms = all_queue_ms + queue_ms, all_run_ms + run_ms
                waiting.reply.set_result(Timed(result, queue_ms, run_ms))
        self._metrics.answered(all_queue_ms, all_run_ms)
