"""Requests that write text, sent in ways that people send them, and what each way gave."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.latencies import Latencies
from streamproc.messages.lane import Lane
from streamproc.serving.decoding.prompt import Prompt
from streamproc.serving.decoding.search import Decoded, SearchStep, SearchStrategy, StepScores
from streamproc.serving.engine import Engine


@dataclass(frozen=True, slots=True)
class Writing:
    """One request: a prompt, and exactly how many tokens are written after it."""

    prompt: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Written:
    """seconds: from sent to answered; first_token_s: from sent to the first token chosen."""

    text: str
    seconds: float
    first_token_s: float


class _Watched:
    """A search that tells when it chooses its first token."""

    def __init__(self, search: SearchStrategy, chosen: Callable[[], None]) -> None:
        self._search = search
        self._chosen = chosen

    def advance(self, scores: StepScores) -> SearchStep:
        advance = self._search.advance(scores)
        self._chosen()
        return advance

    def result(self) -> Decoded:
        return self._search.result()


async def write(
    engine: Engine,
    writing: Writing,
    lane: Lane = Lane.INTERACTIVE,
    chosen_s: list[float] | None = None,
) -> Written:
    """The answer to one request, as the pipeline would get it, and when it came.

    chosen_s: filled with the times at which tokens are chosen
    """
    chosen_s = [] if chosen_s is None else chosen_s
    sent_s = time.perf_counter()
    params = {"max_new_tokens": writing.tokens, "min_new_tokens": writing.tokens}
    job = engine.task.begin({"text": writing.prompt}, {**params, "truncate": "start"}, engine.spec)
    for chunk in job.chunks():
        watched = _watched(chunk, lambda: chosen_s.append(time.perf_counter()))
        timed = await engine.scorer.submit(watched, len(watched), lane)
        job.add(chunk, timed.result)
    text = job.answer().result["generated_text"]
    return Written(text, time.perf_counter() - sent_s, chosen_s[0] - sent_s)


def _watched(prompt: Prompt, chosen: Callable[[], None]) -> Prompt:
    return replace(prompt, new_search=lambda: _Watched(prompt.new_search(), chosen))


@dataclass(frozen=True, slots=True)
class Load:
    """What so many requests at once gave.

    tokens_per_s: from the first one sent to the last one answered
    first_token: from when a request was sent, which is when a place among those at once came free
    texts: in the order of the requests
    """

    at_once: int
    tokens_per_s: float
    cpu_ms_per_token: float
    first_token: Latencies
    texts: tuple[str, ...]

    @classmethod
    def over(cls, rounds: Sequence[Load]) -> Load:
        """Medians over rounds of one load, times to the first token of all of them together."""
        return cls(
            rounds[0].at_once,
            statistics.median(load.tokens_per_s for load in rounds),
            statistics.median(load.cpu_ms_per_token for load in rounds),
            Latencies.of([ms for load in rounds for ms in load.first_token.series_ms]),
            rounds[0].texts,
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "at_once": self.at_once,
            "tokens_per_s": self.tokens_per_s,
            "cpu_ms_per_token": self.cpu_ms_per_token,
            "first_token": self.first_token.as_json(),
        }


async def under_load(engine: Engine, writings: Sequence[Writing], at_once: int) -> Load:
    """All requests, so many in the works at any time."""
    slots = asyncio.Semaphore(at_once)

    async def one(writing: Writing) -> Written:
        async with slots:
            return await write(engine, writing)

    cpu_s, started_s = time.process_time(), time.perf_counter()
    written = await asyncio.gather(*(one(writing) for writing in writings))
    seconds, tokens = time.perf_counter() - started_s, sum(each.tokens for each in writings)
    return Load(
        at_once,
        tokens / seconds,
        1000 * (time.process_time() - cpu_s) / tokens,
        Latencies.of([1000 * each.first_token_s for each in written]),
        tuple(each.text for each in written),
    )


async def beside(
    engine: Engine, short: Sequence[Writing], long: Sequence[Writing], lane: Lane
) -> Latencies:
    """Short requests, one after the other, while as many long ones as there are go on in `lane`.

    Begins once all long ones are being written. Raises what one of them raised: short requests
    beside fewer than were meant would look better than they are.
    """

    async def without_end(writing: Writing, chosen_s: list[float]) -> None:
        while True:
            await write(engine, writing, lane, chosen_s)

    chosen: list[list[float]] = [[] for _ in long]
    going_on = [
        asyncio.create_task(without_end(writing, times))
        for writing, times in zip(long, chosen, strict=True)
    ]
    try:
        while not all(chosen):
            _raise_what_ended(going_on)
            await asyncio.sleep(0.01)
        found = [1000 * (await write(engine, each)).seconds for each in short]
        _raise_what_ended(going_on)
        return Latencies.of(found)
    finally:
        for task in going_on:
            task.cancel()
        await asyncio.gather(*going_on, return_exceptions=True)


def _raise_what_ended(going_on: Sequence[asyncio.Task[None]]) -> None:
    for task in going_on:
        if task.done():
            task.result()
