"""The gateway's application, put together: every address, and what is done with every error."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any, Final

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from streamproc import __version__
from streamproc.clock import Clock, SystemClock
from streamproc.errors import TopicsError
from streamproc.kafka.reply_client import Replies, ReplyClient
from streamproc.kafka.topics import TopicCatalogue, load_topics
from streamproc.messages.outgoing import TRACE_HEADERS
from streamproc.messages.validation import in_json_words
from streamproc.settings import Settings
from streamproc.settings.gateway import GatewaySettings
from streamproc.status.live import LiveStatus
from streamproc.web.gateway.asking import Asker
from streamproc.web.gateway.classify_api import classify_router
from streamproc.web.gateway.completions_api import completions_router
from streamproc.web.gateway.docs_page import docs_router
from streamproc.web.gateway.error_shapes import said_to
from streamproc.web.gateway.gateway import Gateway
from streamproc.web.gateway.health_api import health_router
from streamproc.web.gateway.http_responses import http_response
from streamproc.web.gateway.hugging_face import hugging_face_router
from streamproc.web.gateway.kept import KeptRequests
from streamproc.web.gateway.limited_bodies import LimitedBodies, Measured
from streamproc.web.gateway.metrics import GatewayMetrics
from streamproc.web.gateway.models import NamedModels
from streamproc.web.gateway.open_inference import open_inference_router
from streamproc.web.gateway.openapi import document
from streamproc.web.gateway.problems import MEDIA_TYPE, GatewayProblem, Outcome, problem_body
from streamproc.web.gateway.security.callers import Authenticator, Callers
from streamproc.web.gateway.security.limits import RateLimits
from streamproc.web.gateway.tasks_api import tasks_router
from streamproc.web.loopback import is_loopback
from streamproc.web.page.app import build_page
from streamproc.web.page.playground_api import Admit
from streamproc.web.page.server import asker

_ASKING_HEADERS: Final = (
    *("Authorization", "X-API-Key", "Content-Type", "Prefer", "Idempotency-Key"),
    *TRACE_HEADERS,
)
_STATUS_PROBLEMS: Final = {404: "not-found", 405: "method-not-allowed"}

log = structlog.get_logger(__name__)


def build_app(
    settings: Settings,
    gateway_settings: GatewaySettings,
    *,
    clock: Clock | None = None,
    client: Replies | None = None,
) -> FastAPI:
    """The application; its lifespan owns the one client of Kafka that all requests share.

    client: instead of the one of Kafka
    Raises TopicsError where no topic for replies is described.
    """
    clock = clock or SystemClock()
    topics = load_topics(settings.topics_dir)
    client = client or _kafka_client(settings, topics, clock)
    gateway = Gateway(
        settings=gateway_settings,
        topics=topics,
        client=client,
        asker=Asker(client, gateway_settings, clock),
        kept=KeptRequests(gateway_settings.keep_s, gateway_settings.keep_bytes, clock),
        models=NamedModels(settings.models_dir, topics, clock),
        limits=RateLimits(clock),
        clock=clock,
    )

    authenticator = Authenticator(gateway_settings, clock)
    status = LiveStatus(settings, clock) if _has_page(gateway_settings) else None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with gateway.client, status or nullcontext():
            yield
            await gateway.kept.close()

    app = FastAPI(
        title="streamproc gateway", version=__version__, lifespan=lifespan,
        docs_url=None, redoc_url=None, separate_input_output_schemas=False,
    )  # fmt: skip
    metrics = GatewayMetrics(lambda: gateway.asker.in_flight)
    app.include_router(health_router(gateway.client, metrics.registry))
    app.include_router(tasks_router(gateway))
    app.include_router(hugging_face_router(gateway))
    app.include_router(classify_router(gateway))
    app.include_router(completions_router(gateway))
    app.include_router(open_inference_router(gateway))
    app.include_router(docs_router())
    app.state.end_streams = lambda: None
    if status is not None:
        page = build_page(
            settings,
            status,
            asker(gateway.client),
            clock,
            local_only=authenticator.is_local_only,
            admit=_page_admits(gateway),
        )
        app.mount("/page", page)
        app.state.end_streams = status.end_streams
    _handle_errors(app)
    app.add_middleware(
        LimitedBodies,
        max_bytes=gateway_settings.max_body_bytes,
        body_s=gateway_settings.body_timeout_s,
        clock=clock,
    )
    app.add_middleware(Callers, authenticator=authenticator, settings=gateway_settings)
    if gateway_settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=gateway_settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=_ASKING_HEADERS,
            expose_headers=["Location", "Retry-After", "Preference-Applied"],
        )
    app.add_middleware(Measured, metrics=metrics, clock=clock)
    made: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        # Once: it reads the schemas of all topics.
        if not made:
            made.update(document(app, topics))
        return made

    app.openapi = openapi  # type: ignore[method-assign]
    return app


def _has_page(settings: GatewaySettings) -> bool:
    """It shows dead letters, so that others may open it only where somebody wants that."""
    return settings.page == "on" or (settings.page == "auto" and is_loopback(settings.host))


def _page_admits(gateway: Gateway) -> Admit:
    """What asks by the page counts as any other request of its caller does."""

    def admit(request: Request, value: bytes) -> None:
        try:
            gateway.admit(request, [value])
        except GatewayProblem as problem:
            raise HTTPException(problem.status, problem.detail, problem.headers) from None

    return admit


def _kafka_client(settings: Settings, topics: TopicCatalogue, clock: Clock) -> ReplyClient:
    client = ReplyClient.of_catalogue(settings, topics, clock)
    if client is None:
        raise TopicsError(
            f"{topics.folder} describes no topic of kind replies, which a gateway gets its answers "
            "by; take over nlp.replies.v1.yaml of the shipped ones, with its schema and examples"
        )
    return client


def _handle_errors(app: FastAPI) -> None:
    """Every error is a problem of RFC 9457, and says nothing of what a request held."""

    @app.exception_handler(GatewayProblem)
    async def problem(request: Request, error: GatewayProblem) -> Response:
        return http_response(said_to(request.url.path, error))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        found = list(error.errors())
        name = "not-json" if any(one["type"] == "json_invalid" for one in found) else "invalid"
        faults = "; ".join(
            f"{'.'.join(map(str, one['loc'][1:]))}: {in_json_words(one)}" for one in found[:8]
        )
        return http_response(said_to(request.url.path, GatewayProblem(name, faults[:2000])))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        # What comes up while the framework reads a body, it makes an error of its own.
        if isinstance(error.__cause__, GatewayProblem):
            return http_response(said_to(request.url.path, error.__cause__))
        name = _STATUS_PROBLEMS.get(error.status_code, "not-json")
        known = GatewayProblem(name, str(error.detail), headers=error.headers)
        return http_response(said_to(request.url.path, known))

    @app.exception_handler(Exception)
    async def fault(_: Request, error: Exception) -> Response:
        place = traceback.extract_tb(error.__traceback__)[-1]
        kind = type(error).__name__
        log.error("internal error", kind=kind, file=place.filename, line=place.lineno)
        detail = f"a fault of streamproc ({kind}); its log says where"
        return _response(500, problem_body("internal", "internal error", 500, detail))


def _response(status: int, body: object) -> Response:
    return http_response(Outcome(status, orjson.dumps(body), MEDIA_TYPE))
