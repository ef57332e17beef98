"""Threads that run models: the interactive lane's calls first, a hung call replaced by a thread."""

from __future__ import annotations

import asyncio
import heapq
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from streamproc.errors import WorkerFault
from streamproc.serving.guarded_calls import Call
from streamproc.serving.inference.session import new_call

Value = TypeVar("Value")

_JOIN_TIMEOUT_S = 10.0
_LOOK_EVERY_S = 0.01
_NICENESS = 5


@dataclass(order=True, slots=True)
class _Job(Generic[Value]):
    priority: int
    sequence: int
    call: Callable[[], Value] = field(compare=False)
    future: asyncio.Future[Value] = field(compare=False)
    loop: asyncio.AbstractEventLoop = field(compare=False)
    started_s: float | None = field(default=None, compare=False)
    abandoned: bool = field(default=False, compare=False)


class ModelExecutor:
    """A fixed number of threads, calls taken by priority and then by age.

    Models release the GIL while they run, so threads are what uses the cores. A call that outlives
    its time can't be stopped from outside; its thread is written off and another takes its place.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._jobs: list[_Job[Any]] = []
        self._sequence = 0
        self._ready = threading.Condition()
        self._closed = False
        self._alive: set[threading.Thread] = set()
        for _ in range(threads):
            self._start_thread()

    async def run(self, call: Callable[[], Value], priority: int, timeout_s: float) -> Value:
        """The call's result; raises TimeoutError when it ran for longer than `timeout_s`.

        Only running counts, not waiting for a thread. Raises WorkerFault after `close`.
        """
        loop = asyncio.get_running_loop()
        job = self._add(call, priority, loop)
        remaining_s = timeout_s
        while True:
            done, _ = await asyncio.wait({job.future}, timeout=remaining_s)
            if done:
                return job.future.result()
            remaining_s = self._remaining_s(job, timeout_s)
            if remaining_s <= 0:
                self._abandon(job)
                raise TimeoutError

    def new_call(self) -> Call:
        """What ends one call of a model early."""
        return new_call()

    def close(self) -> None:
        """Let the threads go once they are done; calls that wait are cancelled."""
        with self._ready:
            self._closed = True
            for job in self._jobs:
                with suppress(RuntimeError):  # its loop is closed: nobody awaits it any more
                    job.loop.call_soon_threadsafe(job.future.cancel)
            self._jobs.clear()
            self._ready.notify_all()

    def join(self) -> None:
        """Wait a few seconds for the calls that run, after `close`.

        A thread inside ONNX Runtime when the interpreter ends would abort the process.
        """
        deadline_s = time.monotonic() + _JOIN_TIMEOUT_S
        for thread in tuple(self._alive):
            thread.join(max(0.0, deadline_s - time.monotonic()))

    async def wait_closed(self) -> None:
        """As `join`, without keeping the event loop waiting.

        By looking again and again: at the interpreter's end no pool takes work any more.
        """
        deadline_s = time.monotonic() + _JOIN_TIMEOUT_S
        while time.monotonic() < deadline_s and any(  # noqa: ASYNC110 - a thread's end is no event
            one.is_alive() for one in self._alive
        ):
            await asyncio.sleep(_LOOK_EVERY_S)

    def _add(
        self, call: Callable[[], Value], priority: int, loop: asyncio.AbstractEventLoop
    ) -> _Job[Value]:
        with self._ready:
            if self._closed:
                raise WorkerFault(
                    "the threads that run models are gone: the worker is shutting down"
                )
            job = _Job(priority, self._sequence, call, loop.create_future(), loop)
            self._sequence += 1
            heapq.heappush(self._jobs, job)
            self._ready.notify()
        return job

    def _remaining_s(self, job: _Job[Value], timeout_s: float) -> float:
        if job.started_s is None:
            return timeout_s
        return timeout_s - (time.monotonic() - job.started_s)

    def _abandon(self, job: _Job[Value]) -> None:
        with self._ready:
            if job.future.done():
                return
            job.abandoned = True
        self._alive = {thread for thread in self._alive if thread.is_alive()}
        self._start_thread()

    def _start_thread(self) -> None:
        # Daemons: a hung model must not keep a stopping worker alive.
        thread = threading.Thread(target=self._work, name="streamproc-model", daemon=True)
        self._alive.add(thread)
        thread.start()

    def _work(self) -> None:
        yield_to_the_event_loop()
        while True:
            with self._ready:
                while not self._jobs and not self._closed:
                    self._ready.wait()
                if self._closed:
                    return
                job = heapq.heappop(self._jobs)
            if not self._serve(job):
                return
            # What a call came to may be large: a thread that waits for the next must not keep it.
            del job

    def _serve(self, job: _Job[Value]) -> bool:
        """Make a call; returns whether the thread is to go on."""
        if job.future.cancelled():
            return True
        job.started_s = time.monotonic()
        resolve: Callable[[], None]
        try:
            resolve = partial(job.future.set_result, job.call())
        except BaseException as raised:  # noqa: BLE001 - handed to whoever awaits the call
            resolve = partial(job.future.set_exception, raised)
        with self._ready:
            if job.abandoned:
                return False
        try:
            job.loop.call_soon_threadsafe(_unless_done, job.future, resolve)
        except RuntimeError:  # the loop is closed: the worker has stopped
            return False
        return True


def yield_to_the_event_loop() -> None:
    """Called on a thread that runs models, or loads them; raises nothing.

    Let the threads that take requests in and send answers out go first where cores are scarce.

    Linux alone has a priority per thread; elsewhere it would be the whole process's. A worker that
    was started with a higher niceness keeps that: it may not be lowered without CAP_SYS_NICE.
    """
    if sys.platform != "linux":
        return
    thread = threading.get_native_id()
    # A thread that runs all the same, where a sandbox forbids this, is worth more than its place.
    with suppress(OSError):
        if os.getpriority(os.PRIO_PROCESS, thread) < _NICENESS:
            os.setpriority(os.PRIO_PROCESS, thread, _NICENESS)


def _unless_done(future: asyncio.Future[Value], resolve: Callable[[], None]) -> None:
    if not future.done():
        resolve()
