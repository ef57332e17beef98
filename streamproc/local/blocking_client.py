"""Asking without an event loop, and beside one that runs: from a script, a notebook, any thread."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeVar, cast

import orjson

from streamproc.clock import SystemClock
from streamproc.errors import Invalid, SettingsError, WorkerFault
from streamproc.logs import configure_where_nobody_has
from streamproc.messages.client import ErrorBody, ResponseBody
from streamproc.messages.problems import to_problem
from streamproc.repository.repository import StoredEnsemble
from streamproc.serving.chunking.windows import Window
from streamproc.settings import Settings
from streamproc.worker.local import Windowed, windowed_pipelines
from streamproc.worker.local_client import OUTSTANDING_BYTES, LocalClient

OUTSTANDING: Final = 1024
_JOIN_TIMEOUT_S: Final = 15.0

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request on its way.

    body:   its fields, in JSON
    window: what its text is cut into; None: as the manifest says
    """

    body: bytes
    window: Window | None = None

    @classmethod
    def of(cls, body: Mapping[str, Any], window: Window | None = None) -> Asked:
        """Raises Invalid where a field can't be written as JSON."""
        try:
            return cls(orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY), window)
        except TypeError as error:
            raise Invalid("invalid request", f"it can't be written as JSON: {error}") from None


def refusal(task: str, reason: Invalid) -> ResponseBody:
    """The response to what is so wrong that it could not be asked."""
    error = cast(ErrorBody, asdict(to_problem(reason)))
    return {"id": "", "task": task, "status": "error", "error": error}


class BlockingClient:
    """One ensemble, loaded and tried out, on a thread of its own with an event loop of its own.

    Many threads may ask at a time, and their requests run together. It ends with `close`, when
    nobody refers to it any more, and when the interpreter ends.
    """

    def __init__(self, settings: Settings, stored: StoredEnsemble) -> None:
        """Raises OperatorError."""
        started: Future[_Served] = Future()
        thread = threading.Thread(
            # As a daemon, as the interpreter waits for others before it lets anyone clean up.
            target=_run,
            args=(settings, stored, started),
            name="streamproc-client",
            daemon=True,
        )
        thread.start()
        try:
            self._served = started.result()
        except KeyboardInterrupt:  # nobody will come for what is being loaded
            started.add_done_callback(_end_at_once)
            raise
        self._process = os.getpid()
        self._end = weakref.finalize(self, _end, self._served, thread, self._process)

    def close(self) -> None:
        """Let the models go; who still waits for an answer gets WorkerFault."""
        self._end()

    def ask(self, asked: Asked) -> Future[ResponseBody]:
        """Begin to ask; raises WorkerFault after `close`, SettingsError in a forked process."""
        if os.getpid() != self._process:
            raise SettingsError(
                "these models were loaded by the process that this one was forked from, and their "
                "threads are not here: load them in the process that uses them, as a "
                "streamproc.Scorer does"
            )
        return self._served.begin(asked)

    def ask_each(
        self,
        items: Iterable[Item],
        requests_of: Callable[[Item], Sequence[Asked]],
        outstanding: int = OUTSTANDING,
    ) -> Iterator[tuple[Item, list[ResponseBody]]]:
        """Every item with the responses to its requests, in the order of items.

        items: read in the caller's thread, as they are needed
        outstanding: items that are read and not given out, at most; of long ones fewer
        Raises what `requests_of` does, and WorkerFault when the models can't run.
        """
        waiting: deque[tuple[Item, list[Future[ResponseBody]], int]] = deque()
        size_bytes = 0
        try:
            for item in items:
                asked = requests_of(item)
                own_bytes = sum(len(one.body) for one in asked)
                waiting.append((item, [self.ask(one) for one in asked], own_bytes))
                size_bytes += own_bytes
                while len(waiting) >= outstanding or size_bytes >= OUTSTANDING_BYTES:
                    done, futures, own_bytes = waiting.popleft()
                    size_bytes -= own_bytes
                    yield done, [_result(future) for future in futures]
            while waiting:
                done, futures, _ = waiting.popleft()
                yield done, [_result(future) for future in futures]
        finally:
            for _, futures, _ in waiting:
                for future in futures:
                    future.cancel()


class _Served:
    """What the thread has: its loop, and a client for each size of window that was asked for."""

    def __init__(self, task: str, windowed: Windowed) -> None:
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._windowed = windowed
        self._clients: dict[Window | None, LocalClient] = {}
        self.ended = asyncio.Event()
        # What is asked after the end would wait for ever: the loop no longer takes it up.
        self._lock, self._closed = threading.Lock(), False
        self._asked = set[Future[ResponseBody]]()

    def begin(self, asked: Asked) -> Future[ResponseBody]:
        """Ask from another thread; raises WorkerFault after the end."""
        with self._lock:
            if self._closed:
                raise WorkerFault("the models are closed")
            future = asyncio.run_coroutine_threadsafe(self._ask(asked), self._loop)
            self._asked.add(future)
        future.add_done_callback(self._asked.discard)
        return future

    def end(self) -> None:
        """Cancel what was asked, and let the loop end; from any thread."""
        with self._lock:
            self._closed = True
            asked = tuple(self._asked)
        for future in asked:
            future.cancel()
        self._loop.call_soon_threadsafe(self.ended.set)

    async def _ask(self, asked: Asked) -> ResponseBody:
        client = self._clients.get(asked.window)
        if client is None:
            client = LocalClient(self._windowed(asked.window), SystemClock())
            self._clients[asked.window] = client
        try:
            response, _ = await client.ask_json(asked.body)
        except Invalid as reason:  # so wrong that no id could be read
            return refusal(self._task, reason)
        return response


def _run(settings: Settings, stored: StoredEnsemble, started: Future[_Served]) -> None:
    try:
        asyncio.run(_serve(settings, stored, started))
    except BaseException as error:  # noqa: BLE001 - handed to whoever waits for the models
        if not started.done():
            started.set_exception(error)


async def _serve(settings: Settings, stored: StoredEnsemble, started: Future[_Served]) -> None:
    configure_where_nobody_has(settings)
    async with windowed_pipelines(settings, stored, SystemClock()) as windowed:
        served = _Served(stored.manifest.task, windowed)
        started.set_result(served)
        await served.ended.wait()


def _end(served: _Served, thread: threading.Thread, process: int) -> None:
    if os.getpid() != process:
        return
    served.end()
    # The last one to refer to a client may be a task on its own loop.
    if threading.current_thread() is not thread:
        thread.join(_JOIN_TIMEOUT_S)


def _end_at_once(started: Future[_Served]) -> None:
    if started.exception() is None:
        started.result().end()


def _result(future: Future[ResponseBody]) -> ResponseBody:
    try:
        return future.result()
    except CancelledError:
        raise WorkerFault("the models were closed before the answer was there") from None
