"""What a batcher is tested with: a runner that is let go by hand, and callers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from streamproc.clock import SystemClock, Timed
from streamproc.messages.lane import Lane
from streamproc.metrics import Metrics
from streamproc.serving.batching.batch_metrics import BatchMetrics
from streamproc.serving.batching.batcher import Batcher, Limits


class Runner:
    """Runs batches of (name, tokens): each waits until it is let go, unless `at_once`."""

    def __init__(self, *, at_once: bool = True) -> None:
        self.batches: list[tuple[Lane, list[str]]] = []
        self.under_way: list[asyncio.Event] = []
        self.at_once = at_once
        self.error: Exception | None = None

    async def __call__(self, batch: Sequence[str], lane: Lane) -> Sequence[str]:
        self.batches.append((lane, list(batch)))
        if not self.at_once:
            gate = asyncio.Event()
            self.under_way.append(gate)
            await gate.wait()
        if self.error is not None:
            raise self.error
        return [name.upper() for name in batch]

    def release(self) -> None:
        self.under_way.pop(0).set()


def batcher_of(runner: Runner, clock: Any = None, **limits: int) -> Batcher[str, str]:
    chosen = {"budget_tokens": 8, "slots": 1, "max_wait_ms": 0, "max_queued_tokens": 1_000}
    return Batcher(
        runner,
        Limits(**{**chosen, **limits}),
        clock or SystemClock(),
        BatchMetrics(Metrics(), "tiny"),
    )


def submitted(
    batcher: Batcher[str, str], name: str, tokens: int = 2, lane: Lane = Lane.INTERACTIVE
) -> asyncio.Task[Timed[str]]:
    return asyncio.create_task(batcher.submit(name, tokens, lane))


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)
