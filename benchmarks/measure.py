"""Contenders measured in turns on the same requests, and what a round of one of them gave."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol

from streamproc.errors import OperatorError
from streamproc.types import FloatArray


class BenchmarkFailed(OperatorError):
    """Something that is measured did not work, so there is no figure."""


@dataclass(frozen=True, slots=True)
class Round:
    """One contender, once through all requests.

    seconds:     from the first request to the last answer
    cpu_seconds: of the process that answers; None where the system does not tell
    answers:     (requests, labels) probabilities, in the order of requests
    padding:     tokens run through a model, padding included, to those without it
    beside_cpu_seconds: of others that take part, or of a part of the process, by name
    stage_ms:    mean milliseconds of a request in each stage, by name
    """

    seconds: float
    cpu_seconds: float | None
    answers: FloatArray
    padding: float | None = None
    beside_cpu_seconds: Mapping[str, float] = field(default_factory=dict)
    stage_ms: Mapping[str, float] = field(default_factory=dict)

    @property
    def requests_per_s(self) -> float:
        return len(self.answers) / self.seconds


class Contender(Protocol):
    """A way to answer all requests of a workload."""

    @property
    def name(self) -> str:
        """As it stands in the table."""
        ...

    async def round(self) -> Round:
        """Answer all requests once."""
        ...


async def in_turns(
    contenders: Sequence[Contender], rounds: int, announce: Callable[[str], None]
) -> dict[str, list[Round]]:
    """`rounds` of every contender; each begins one round, as a noisy machine favours moments."""
    done: dict[str, list[Round]] = {contender.name: [] for contender in contenders}
    for turn in range(rounds):
        first = turn % len(contenders)
        for contender in (*contenders[first:], *contenders[:first]):
            announce(f"round {turn + 1} of {rounds}: {contender.name}")
            done[contender.name].append(await contender.round())
    return done


def shares(rounds: Sequence[Round], ceiling: Sequence[Round]) -> list[float]:
    """Throughput as a share of the ceiling's in the same round."""
    return [
        mine.requests_per_s / top.requests_per_s for mine, top in zip(rounds, ceiling, strict=True)
    ]


def median_cpu_s_per_1000(rounds: Sequence[Round]) -> float | None:
    """CPU seconds of the answering process per 1,000 requests."""
    known = [
        1000 * each.cpu_seconds / len(each.answers)
        for each in rounds
        if each.cpu_seconds is not None
    ]
    return median(known) if known else None


async def timed(work: Callable[[], FloatArray], padding: float) -> Round:
    """A round of work in this process, on threads of its own."""

    def measured() -> Round:
        cpu_s, started_s = time.process_time(), time.perf_counter()
        answers = work()
        seconds = time.perf_counter() - started_s
        return Round(seconds, time.process_time() - cpu_s, answers, padding)

    return await asyncio.to_thread(measured)


async def timed_here(work: Callable[[], Awaitable[FloatArray]]) -> Round:
    """The same for work on this event loop."""
    cpu_s, started_s = time.process_time(), time.perf_counter()
    answers = await work()
    seconds = time.perf_counter() - started_s
    return Round(seconds, time.process_time() - cpu_s, answers)
