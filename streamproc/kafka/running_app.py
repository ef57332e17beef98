"""A Faust app from its start to its end, and what it failed by."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from typing import Any, Final

import faust
import structlog
from aiokafka.errors import TopicAuthorizationFailedError

from streamproc.errors import BrokerUnavailable, OperatorError, TopicsError, WorkerFault
from streamproc.kafka.private_api import has_crashed
from streamproc.logs.redaction import describe_error

_log = structlog.get_logger(__name__)

STOP_TIMEOUT_S: Final = 20.0


class RunningApp:
    """Starts the app at once; to be stopped by whoever made it."""

    def __init__(self, app: faust.App) -> None:
        self._app = app
        self._starting = asyncio.create_task(app.start())
        self._crashed = asyncio.create_task(has_crashed(app))

    async def wait(self, others: Collection[asyncio.Future[Any]]) -> None:
        """Until the app has failed, or one of the others is done."""
        watched = {self._crashed, *others}
        await asyncio.wait({*watched, self._starting}, return_when=asyncio.FIRST_COMPLETED)
        if self._starting.done() and self._starting.exception() is None:
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)

    def raise_what_failed(self, others: Collection[asyncio.Task[None]]) -> None:
        """Raise what ended the app, or one of the others; nothing where all go on.

        Raises OperatorError and WorkerFault as they are, all else as BrokerUnavailable.
        """
        reason: BaseException | None = None
        if self._crashed.done():
            reason = self._app.crash_reason or RuntimeError("Faust crashed")
        ended = (task for task in (self._starting, *others) if task.done() and not task.cancelled())
        reason = reason or next(filter(None, (task.exception() for task in ended)), None)
        if isinstance(reason, OperatorError | WorkerFault):
            raise reason
        if isinstance(reason, TopicAuthorizationFailedError):
            topics = ", ".join(map(str, reason.args))
            raise TopicsError(f"this user may not read topic {topics}: an ACL is missing")
        if reason is not None:
            stopped = f"the Kafka consumer stopped: {describe_error(reason)}"
            raise BrokerUnavailable(stopped) from reason

    async def stop(self) -> None:
        """End it, in order if it can."""
        self._crashed.cancel()
        await asyncio.wait({self._crashed})
        if not self._starting.done():
            self._starting.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await self._starting
        stopping = asyncio.create_task(self._app.stop())
        # Not `wait_for`, which waits on for what takes no notice of being cancelled.
        await asyncio.wait({stopping}, timeout=STOP_TIMEOUT_S)
        if not stopping.done():
            stopping.cancel()
            _log.warning("Faust did not stop", waited_s=STOP_TIMEOUT_S)
        elif (error := stopping.exception()) is not None:
            # Nothing is left to lose; end all the same.
            _log.warning("Faust failed to stop", error=type(error).__name__)
