"""A client for tests of code that asks: it answers as a worker would, by what the test says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import orjson

from streamproc.errors import Invalid
from streamproc.messages.client import ResponseBody
from streamproc.messages.outgoing import as_json
from streamproc.messages.problems import to_problem
from streamproc.messages.record import Headers, Record
from streamproc.messages.request import InvalidRequest, Request, read_request
from streamproc.messages.response import Coverage, MemberReport, Response, Timing
from streamproc.messages.strict_json import parse
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.task import validated
from streamproc.settings import Settings

Results = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class ScriptedClient:
    """Has the `ask` of `RequestClient` and `LocalClient`, without a model and without Kafka.

    results: from a request's fields, such as `text`, to the `result` of its response; it may raise
        `errors.Invalid`, which becomes a response of status `error`, or what a client raises
    asked:   the requests so far, in the order they were asked
    What is wrong with a request is told as a worker tells it.
    """

    def __init__(self, results: Results, task: str = "text-classification") -> None:
        self._results, self._task = results, task_named(task)
        self.asked: list[dict[str, Any]] = []

    async def ask(
        self, body: Mapping[str, Any], *, key: bytes | None = None, headers: Headers = ()
    ) -> ResponseBody:
        """The response to one request."""
        self.asked.append(dict(body))
        record = Record("testing", 0, len(self.asked), 0, key, orjson.dumps(body), headers)
        request = read_request(record, Settings.model_fields["max_message_bytes"].default)
        written = orjson.dumps(as_json(self._response(request)))
        return cast(ResponseBody, parse(written))

    def _response(self, request: Request | InvalidRequest) -> Response:
        if isinstance(request, InvalidRequest):
            return self._error(request.request_id or "", request.reason, request.metadata)
        try:
            validated(self._task.inputs, request.inputs)
            validated(self._task.params, request.params, "params")
            result = self._results(request.inputs)
        except Invalid as reason:
            return self._error(request.id, reason, request.metadata)
        characters = sum(len(value) for value in request.inputs.values() if isinstance(value, str))
        return Response(
            request.id,
            self._task.name,
            "ok",
            ensemble=request.ensemble or "scripted",
            manifest="0" * 64,
            result=dict(result),
            members=(MemberReport("scripted", "1", "ok"),),
            agreement=1.0,
            entropy=0.0,
            coverage=Coverage(1, characters, characters, truncated=False),
            timing=Timing(0.0, 0.0, 0.0),
            metadata=request.metadata,
        )

    def _error(self, request_id: str, reason: Invalid, metadata: bytes | None) -> Response:
        error = to_problem(reason)
        return Response(request_id, self._task.name, "error", error=error, metadata=metadata)
