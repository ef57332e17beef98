"""Sending the requests of one step: in open loop at their times, in closed loop by users."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np

from streamproc.clock import Clock
from streamproc.errors import RequestError
from streamproc.offline.load.arrivals import Arrival
from streamproc.offline.load.mix import Mix, Question
from streamproc.offline.load.recording import (
    NO_REPLY,
    UNANSWERED,
    UNSENT,
    Reply,
    Sample,
    StepRecorder,
)

Ask = Callable[[Question], Awaitable[Reply]]
"""Asks one request; raises RequestError where no response comes."""
MAX_IN_FLIGHT: Final = 10_000


@dataclass(frozen=True, slots=True)
class StepTimes:
    """How long a step takes.

    warm_up_s:  in which requests are sent and not counted
    duration_s: in which they are
    timeout_s:  after which an answer is late
    drain_s:    for which answers are waited for, after the last request has had its time, so that
        the next step does not begin behind what this one left
    max_in_flight: requests on their way at a time; more wait to be sent, and that counts
    """

    warm_up_s: float
    duration_s: float
    timeout_s: float
    drain_s: float
    max_in_flight: int = MAX_IN_FLIGHT

    @property
    def sending_s(self) -> float:
        """Until the last request is to be sent."""
        return self.warm_up_s + self.duration_s


class StepRunner:
    """Runs one step and records what becomes of its requests."""

    def __init__(
        self, ask: Ask, mix: Mix, times: StepTimes, clock: Clock, rng: np.random.Generator
    ) -> None:
        self._ask = ask
        self._mix = mix
        self._times = times
        self._clock = clock
        self._rng = rng
        self._began_s = clock.monotonic_s()
        self._end_s = self._began_s + times.sending_s
        self._slots = asyncio.Semaphore(times.max_in_flight)
        self._on_their_way: set[asyncio.Task[None]] = set()
        self._fault: BaseException | None = None
        self.recorder = StepRecorder(self._began_s + times.warm_up_s, self._end_s, times.timeout_s)

    async def open_loop(self, arrivals: Iterable[Arrival]) -> None:
        """Send each request at its time, whether or not earlier ones are answered."""
        due = (one for one in arrivals)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._longest_s):
                    await self._send_at_their_times(due)
                    await self._answered()
        finally:
            await self._give_up()
        self._record_unsent(due)
        if self._fault is not None:
            raise self._fault

    async def closed_loop(self, users: int, think_s: float) -> None:
        """Users who ask, wait for the answer, think for a while, and ask again.

        think_s: the mean of exponential times; the first of them spreads the users
        """
        async with asyncio.TaskGroup() as group:
            for rng in self._rng.spawn(users):
                self._keep(group.create_task(self._one_user(think_s, rng)))
            group.create_task(self._stop_users())

    @property
    def _longest_s(self) -> float:
        return self._times.sending_s + self._times.timeout_s + self._times.drain_s

    async def _send_at_their_times(self, arrivals: Iterator[Arrival]) -> None:
        for arrival in arrivals:
            intended_s = self._began_s + arrival.at_s
            if intended_s >= self._end_s:
                return
            question = self._mix.draw(self._rng, arrival)
            try:
                # Also where it is late already: what is on its way has to be given its turn.
                await self._clock.sleep(max(0.0, intended_s - self._clock.monotonic_s()))
                await self._slots.acquire()
            except asyncio.CancelledError:
                self._record(question, intended_s, intended_s, error=UNSENT, sent=False)
                raise
            task = self._keep(asyncio.create_task(self._asked(question, intended_s)))
            task.add_done_callback(lambda _: self._slots.release())

    async def _one_user(self, think_s: float, rng: np.random.Generator) -> None:
        while True:
            think_for_s = rng.exponential(think_s) if think_s else 0.0
            left_s = self._end_s - self._clock.monotonic_s()
            if think_for_s >= left_s:
                # One who would ask again behind the end does not hold the step up.
                await self._clock.sleep(max(0.0, left_s))
                return
            await self._clock.sleep(think_for_s)
            now_s = self._clock.monotonic_s()
            if now_s >= self._end_s:
                return
            await self._asked(self._mix.draw(rng), now_s)

    async def _stop_users(self) -> None:
        """Nobody waits for longer than in open loop, so that a server that hangs ends the step."""
        users = [one for one in self._on_their_way if one is not asyncio.current_task()]
        _, waiting = await asyncio.wait(users, timeout=self._longest_s)
        for user in waiting:
            user.cancel()

    def _keep(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        self._on_their_way.add(task)
        task.add_done_callback(self._is_over)
        return task

    def _is_over(self, task: asyncio.Task[None]) -> None:
        self._on_their_way.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._fault = task.exception()

    async def _asked(self, question: Question, intended_s: float) -> None:
        sent_s = self._clock.monotonic_s()
        try:
            reply = await self._ask(question)
        except RequestError as error:
            reply = Reply(error=error)
        except asyncio.CancelledError:
            self._record(question, intended_s, sent_s, error=UNANSWERED)
            raise
        self._record(question, intended_s, sent_s, reply)

    async def _answered(self) -> None:
        while self._on_their_way:
            await asyncio.wait(self._on_their_way)

    async def _give_up(self) -> None:
        """Nobody waits for what is still on its way."""
        # One that has not begun would end without being recorded.
        await asyncio.sleep(0)
        waiting = list(self._on_their_way)
        for task in waiting:
            task.cancel()
        if waiting:
            await asyncio.wait(waiting)

    def _record_unsent(self, arrivals: Iterator[Arrival]) -> None:
        for arrival in arrivals:
            intended_s = self._began_s + arrival.at_s
            if intended_s >= self._end_s:
                return
            question = self._mix.draw(self._rng, arrival)
            self._record(question, intended_s, intended_s, error=UNSENT, sent=False)

    def _record(
        self,
        question: Question,
        intended_s: float,
        sent_s: float,
        reply: Reply = NO_REPLY,
        *,
        error: str | None = None,
        sent: bool = True,
    ) -> None:
        """error: why there is no reply"""
        now_s = self._clock.monotonic_s()
        self.recorder.add(
            Sample(
                kind=question.kind.title,
                intended_s=intended_s,
                sent_s=sent_s if sent else now_s,
                done_s=now_s,
                version=reply.version,
                arm=reply.arm,
                error=error if reply.error is None else reply.error.type,
                detail="" if reply.error is None else str(reply.error),
            )
        )
