"""`POST /v1/{task}`: our own request and response, one or a list of them, now or later."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

from fastapi import APIRouter, Request, Response

from streamproc.kafka.topics import RequestTopic
from streamproc.messages.lane import Lane
from streamproc.messages.record import Headers
from streamproc.web.gateway.event_streams import OwnEvents, accepts_events, event_stream
from streamproc.web.gateway.gateway import (
    Gateway,
    caller_of,
    carried_headers,
    while_connected,
)
from streamproc.web.gateway.http_responses import http_response, pending_response
from streamproc.web.gateway.openapi import WAIT_HEADER, problem_responses, task_body
from streamproc.web.gateway.preferences import read_preferences
from streamproc.web.gateway.problems import GatewayProblem, Outcome
from streamproc.web.gateway.request_value import split_batch

LaneName = Literal["interactive", "bulk"]


def tasks_router(gateway: Gateway) -> APIRouter:
    """An address for each task, and one for what was asked before."""
    router = APIRouter(prefix="/v1", tags=["streamproc"])
    for task in gateway.tasks():
        described = task_body(task)
        router.add_api_route(
            f"/{task}",
            _endpoint(gateway, task),
            methods=["POST"],
            name=task,
            summary=f"Ask a request of {task}, or a list of them",
            responses=described.responses,
            openapi_extra=described.extra,
        )

    @router.get(
        "/requests/{request_id}",
        name="answer-later",
        summary="The answer to a request that was asked with `Prefer: respond-async`",
        responses=problem_responses(401, 403, 404)
        | {200: {"description": "What the request itself would have got"}}
        | {202: {"description": "Still on its way"}},
        openapi_extra={"parameters": [WAIT_HEADER]},
    )
    async def kept_answer(request: Request, request_id: str) -> Response:
        kept = gateway.kept.find(request_id, caller_of(request).name)
        preferences = read_preferences(request.headers.getlist("prefer"))
        wait_s = gateway.wait_s(preferences) if preferences.wait_s is not None else 0.0
        outcome = await while_connected(request.receive, kept.outcome(wait_s))
        if outcome is None:
            return pending_response(request_id, preferences)
        return http_response(outcome, preferences)

    return router


def _endpoint(gateway: Gateway, task: str) -> Any:
    async def ask(request: Request, lane: LaneName = "interactive") -> Response:
        topic = gateway.topic(task, Lane[lane.upper()])
        body = await request.body()
        batch = split_batch(body, gateway.settings.max_batch)
        if accepts_events(request):
            if batch is not None:
                raise GatewayProblem("invalid", "a list of requests has no events; ask them singly")
            return await event_stream(gateway, request, topic, body, OwnEvents())
        gateway.admit(request, [body] if batch is None else batch)
        headers = carried_headers(request)
        if batch is None:
            work = partial(_one, gateway, topic, body, headers)
        else:
            work = partial(_all, gateway, topic, batch, headers)
        return await gateway.answer(request, body, work)

    return ask


async def _one(
    gateway: Gateway, topic: RequestTopic, body: bytes, headers: Headers, wait_s: float
) -> Outcome:
    return await gateway.asker.outcome(topic, body, wait_s=wait_s, headers=headers)


async def _all(
    gateway: Gateway, topic: RequestTopic, batch: Sequence[bytes], headers: Headers, wait_s: float
) -> Outcome:
    outcomes = await gateway.asker.outcomes(topic, batch, wait_s=wait_s, headers=headers)
    elements = (b'{"status":%d,"body":%b}' % (each.status, each.body) for each in outcomes)
    return Outcome(200, b"[" + b",".join(elements) + b"]")
