"""Asking in this process: the requests and responses that go over Kafka, without Kafka."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final, Self, cast

import orjson

from streamproc.clock import Clock, SystemClock
from streamproc.logs import configure_where_nobody_has
from streamproc.messages.client import ResponseBody
from streamproc.messages.outgoing import as_json
from streamproc.messages.record import Headers, Record
from streamproc.messages.request import InvalidRequest, read_request
from streamproc.messages.strict_json import parse
from streamproc.request_pipeline import Pipeline
from streamproc.settings import Settings
from streamproc.worker import local_pipeline

OUTSTANDING_BYTES: Final = 512 << 10
"""The most to ask at a time: documents take turns, and of a thousand large ones none would be
answered for minutes. These make enough chunks to group by length."""


class LocalClient:
    """Asks models in this process, of one task.

    Requests that are asked at the same time run together, as a worker's do: ask many with
    `asyncio.gather`.
    """

    def __init__(self, pipeline: Pipeline, clock: Clock) -> None:
        """A client of any pipeline; `LocalClient.of_task` is what you want."""
        self._pipeline, self._clock = pipeline, clock
        self._numbers = count()

    @classmethod
    @asynccontextmanager
    async def of_task(
        cls, settings: Settings, task: str = "text-classification", *, ensemble: str | None = None
    ) -> AsyncIterator[Self]:
        """A client of a task's ensembles, which are loaded and tried out first.

        settings: `models_dir`, `device` and `threads` among them, as a worker reads them
        ensemble: answers requests that name none; None: the one that the task's bulk topic names
        Raises OperatorError.
        """
        configure_where_nobody_has(settings)
        clock = SystemClock()
        async with local_pipeline(settings, task, ensemble, clock) as pipeline:
            yield cls(pipeline, clock)

    def tokens_run(self) -> int:
        """Tokens that models have read and written so far, padding left out."""
        return self._pipeline.metrics.tokens_run()

    async def ask(
        self, body: Mapping[str, Any], *, key: bytes | None = None, headers: Headers = ()
    ) -> ResponseBody:
        """The response to a request, whose `id` is the request's own, or one that numbers it.

        key, headers: as a record would have them; headers may make it a CloudEvent
        Raises WorkerFault when the models can't run, whatever is asked.
        """
        _, written = await self.ask_json(orjson.dumps(body), key=key, headers=headers)
        return cast(ResponseBody, parse(written))

    async def ask_json(
        self, body: bytes, *, key: bytes | None = None, headers: Headers = ()
    ) -> tuple[ResponseBody, bytes]:
        """As `ask`, in JSON; the response, whose `metadata` is still JSON, and its own JSON.

        Raises Invalid when no id could be read, so that there is nobody to be answered.
        """
        record = Record("local", 0, next(self._numbers), self._clock.now_ms(), key, body, headers)
        request = read_request(record, self._pipeline.route.max_message_bytes)
        response = await self._pipeline.answer(record, request)
        if response is None:
            assert isinstance(request, InvalidRequest)  # noqa: S101 - any other has an id
            raise request.reason
        told = as_json(response)
        return cast(ResponseBody, told), orjson.dumps(told)
