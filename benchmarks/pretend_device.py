"""`python -m benchmarks.pretend_device`: whether one worker process keeps a GPU busy.

Nothing is computed: a session takes the time that a GPU would, 1,500 µs and 0.4 µs a token a batch,
one batch at a time. Everything else is the worker's: the batcher, the fan-out, padding, model
threads, the event loop. Chunks are tokenized beforehand and there is no Kafka, so that it is the
way from a chunk to its scores that is measured. Says nothing of how fast a GPU is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median
from threading import Lock
from typing import Any, Final

import numpy as np

from streamproc.clock import SystemClock
from streamproc.messages.lane import Lane
from streamproc.metrics import Metrics
from streamproc.serving.batching.batch_metrics import BatchMetrics
from streamproc.serving.batching.batcher import Batcher, Limits
from streamproc.serving.inference.batch import Batch, Row
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.serving.inference.fan_out import FanOut
from streamproc.serving.inference.members import Members
from streamproc.serving.inference.providers import CUDA
from streamproc.serving.member_health import MemberHealth
from streamproc.settings import read_settings
from streamproc.types import FloatArray, Int64Array
from streamproc.worker.models import BATCHES_UNDER_WAY, DEFAULT_BUDGET_TOKENS

BATCH_US, TOKEN_US = 1500.0, 0.4
LENGTHS: Final = (64, 200)
# Batches of chunks that are asked for at any time: few, and as many as may wait in a queue.
IN_FLIGHT: Final = (4, 16)
_LABELS = 2


@dataclass(frozen=True, slots=True)
class _Chunk:
    """ids, type_ids: (tokens,)"""

    ids: Int64Array
    type_ids: Int64Array

    def __len__(self) -> int:
        return len(self.ids)


class PretendDevice:
    """A device that is busy for so long with each batch, one after another.

    busy_s: in all
    """

    def __init__(self) -> None:
        self.busy_s = 0.0
        self._free_at_s = 0.0
        self._lock = Lock()

    def run(self, tokens: int) -> None:
        """Return once a batch of so many tokens, padding included, would be done."""
        takes_s = (BATCH_US + TOKEN_US * tokens) / 1e6
        with self._lock:
            # By its own clock: that a thread wakes late costs the batch behind it nothing.
            self._free_at_s = max(self._free_at_s, time.perf_counter()) + takes_s
            self.busy_s += takes_s
            done_s = self._free_at_s
        time.sleep(max(0.0, done_s - time.perf_counter()))


class PretendSession:
    """A member on such a device; all scores are 0."""

    def __init__(self, name: str, device: PretendDevice) -> None:
        self.name = name
        self._device = device

    def run(self, batch: Batch, _: Any) -> Sequence[FloatArray]:
        self._device.run(batch.padded_tokens)
        return list(np.zeros((len(batch.ids), _LABELS)))


@dataclass(frozen=True, slots=True)
class Found:
    """in_flight: batches of chunks that are asked for at any time
    slots: batches under way at once
    chunks_per_s: answered; limit: what the device could do in full batches
    busy: share of the time that the device was
    loop_us: of the event loop's CPU time that a chunk took
    """

    length: int
    in_flight: int
    slots: int
    chunks_per_s: float
    limit: float
    busy: float
    loop_us: float

    @property
    def share(self) -> float:
        """Of the limit."""
        return self.chunks_per_s / self.limit


def main() -> None:
    """Print the table, write the JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.pretend_device", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=4, help="that run models")
    parser.add_argument("--members", type=int, default=1, help="each takes that time for itself")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/pretend-device.json"))
    asked = parser.parse_args()
    # In turns: as many batches under way as on a CPU of 16 cores, and as a worker has on CUDA.
    ways = list(product(LENGTHS, IN_FLIGHT, (16, BATCHES_UNDER_WAY[CUDA] or 1)))
    rounds = [[asyncio.run(measure(*way, asked)) for way in ways] for _ in range(asked.rounds)]
    found = [_median(own) for own in zip(*rounds, strict=True)]
    columns = "tokens a chunk | batches asked for | under way | chunks/s | of the device's limit"
    print(f"| {columns} | busy | loop µs a chunk |", "|---|---|---|---|---|---|---|", sep="\n")
    for one in found:
        print(
            f"| {one.length} | {one.in_flight} | {one.slots} | {one.chunks_per_s:,.0f} "
            f"| {one.share:.2f} of {one.limit:,.0f} | {one.busy:.2f} | {one.loop_us:.0f} |"
        )
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps([{**_as_dict(one), "share": one.share} for one in found]))


async def measure(length: int, in_flight: int, slots: int, asked: argparse.Namespace) -> Found:
    """One way for one round."""
    settings = read_settings()
    budget_tokens = DEFAULT_BUDGET_TOKENS[CUDA]
    device, executor, metrics = PretendDevice(), ModelExecutor(asked.threads), Metrics()
    sessions = [PretendSession(f"m{number}", device) for number in range(asked.members)]
    ids = np.ones(length, np.int64)
    chunk = _Chunk(ids, np.zeros_like(ids))
    health = MemberHealth("pretend", [one.name for one in sessions], len(sessions), SystemClock())
    fan_out = FanOut(
        Members(sessions),
        executor,
        call_timeout_s=settings.call_timeout_s,
        canary=chunk,
        metrics=metrics,
        health=health,
    )
    batcher: Batcher[_Chunk, Row] = Batcher(
        fan_out.run,
        Limits(budget_tokens, slots, 0, settings.max_queued_tokens),
        SystemClock(),
        BatchMetrics(metrics, "pretend"),
    )
    answered, ends_s = 0, time.perf_counter() + asked.seconds

    async def ask_on() -> None:
        nonlocal answered
        while time.perf_counter() < ends_s:
            await batcher.submit(chunk, length, Lane.BULK)
            answered += 1

    rows = budget_tokens // length
    began_s, cpu_s = time.perf_counter(), time.thread_time()
    await asyncio.gather(*(ask_on() for _ in range(in_flight * rows)))
    took_s, loop_s = time.perf_counter() - began_s, time.thread_time() - cpu_s
    await batcher.close()
    executor.close()
    executor.join()
    batch_s = asked.members * (BATCH_US + TOKEN_US * rows * length) / 1e6
    return Found(
        length,
        in_flight,
        slots,
        answered / took_s,
        rows / batch_s,
        device.busy_s / took_s,
        1e6 * loop_s / answered,
    )


def _median(rounds: Sequence[Found]) -> Found:
    values = [_as_dict(one) for one in rounds]
    return Found(**{name: median(value[name] for value in values) for name in values[0]})


def _as_dict(found: Found) -> dict[str, Any]:
    names = ("length", "in_flight", "slots", "chunks_per_s", "limit", "busy", "loop_us")
    return {name: getattr(found, name) for name in names}


if __name__ == "__main__":
    main()
