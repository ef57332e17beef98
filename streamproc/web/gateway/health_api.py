"""`/health/live`, `/health/ready` and `/metrics`; health also as Open Inference Protocol has it."""

from __future__ import annotations

import orjson
from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from streamproc.kafka.reply_client import Replies
from streamproc.web.gateway.openapi import problem_responses


def health_router(client: Replies, registry: CollectorRegistry) -> APIRouter:
    """Addresses for probes and for Prometheus; none of them asks Kafka anything."""
    router = APIRouter(tags=["health"])

    @router.get("/health/live", summary="Whether the event loop is running")
    @router.get("/v2/health/live", include_in_schema=False)
    async def live() -> Response:
        return _json({"live": True}, 200)

    @router.get(
        "/health/ready",
        summary="Whether requests can be sent and answers heard",
        responses={503: {"description": "They can't, and the reasons"}},
    )
    @router.get("/v2/health/ready", include_in_schema=False)
    async def ready() -> Response:
        reasons = list(client.not_ready())
        return _json({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    @router.get(
        "/metrics",
        summary="Metrics for Prometheus",
        response_class=PlainTextResponse,
        responses=problem_responses(401, 403),
    )
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router


def _json(body: object, status: int) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")
