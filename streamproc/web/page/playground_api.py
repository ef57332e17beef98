"""Trying an ensemble out: a request through Kafka like any other, and how its text is cut."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamproc.errors import Invalid, OperatorError
from streamproc.kafka.topics import RequestTopic, load_topics
from streamproc.messages.strict_json import parse
from streamproc.repository.repository import Repository
from streamproc.serving.loading import load_spec
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.settings import Settings
from streamproc.web.page.responses import json_response

Ask = Callable[[str, bytes, bytes, float], Awaitable[bytes]]
"""The response to a request: of a topic, its value, its key, within so many seconds.

Raises OperatorError saying why there is none.
"""
Admit = Callable[[Request, bytes], None]
"""Counts a request, by its value, against the limits of who asks; raises HTTPException."""
WAIT_S: Final = 30.0
MOST_CHUNKS: Final = 500
MOST_SENTENCES: Final = 24
MOST_SPECS: Final = 16


def playground_routes(settings: Settings, ask: Ask, admit: Admit | None) -> list[Route]:
    """`api/tasks` and `api/ask`."""
    catalogue = load_topics(settings.topics_dir)
    tasks = catalogue.interactive()
    spec_of = lru_cache(MOST_SPECS)(lambda task, name: _spec(settings, task, name))

    async def listed(_: Request) -> Response:
        return json_response(
            [
                {
                    "task": task,
                    "topic": one.name,
                    "responses": one.responses,
                    "ensemble": one.ensemble,
                }
                for task, one in tasks.items()
            ]
        )

    async def asked(request: Request) -> Response:
        body = await _body(request, settings.max_message_bytes)
        task = body.pop("task", None)
        topic = tasks.get(task) if isinstance(task, str) else None
        if topic is None:
            raise HTTPException(404, f"no topic takes requests for {task!r}")

        async def ask_counted(topic: str, value: bytes, key: bytes, wait_s: float) -> bytes:
            if admit is not None:
                admit(request, value)
            return await ask(topic, value, key, wait_s)

        named = body.get("ensemble") or topic.ensemble
        # Nothing is known of any other; the answer says what is wrong with it.
        name = named if isinstance(named, str) else ""
        spec = await asyncio.to_thread(spec_of, topic.task, name)
        response, chunks = await asyncio.gather(
            _answer(ask_counted, topic, body), asyncio.to_thread(chunks_of, topic.task, spec, body)
        )
        found: dict[str, Any] = {"response": response, "chunks": chunks}
        if topic.task == "translation" and chunks:
            found["sentences"] = await _by_sentence(ask_counted, topic, body, chunks)
        return json_response(found)

    return [Route("/api/tasks", listed), Route("/api/ask", asked, methods=["POST"])]


def chunks_of(task: str, spec: EnsembleSpec | None, body: Mapping[str, Any]) -> list[list[int]]:
    """Where the pieces begin and end that models see of a text, in characters.

    spec: of the ensemble; None: it is not here, and nothing is known
    """
    if spec is None:
        return []
    params = body.get("params") or {}
    if not isinstance(params, Mapping):
        return []
    own = {name: value for name, value in params.items() if name != "return_members"}
    try:
        job = task_named(task).begin(body, own, spec)
        made = islice(job.chunks(), MOST_CHUNKS)
        return [_ends(chunk) for chunk in made if hasattr(chunk, "span") or hasattr(chunk, "start")]
    except (Invalid, OperatorError):
        # The answer says what is wrong with it.
        return []


def _ends(chunk: Any) -> list[int]:
    span = getattr(chunk, "span", chunk)
    return [span.start, span.end]


def _spec(settings: Settings, task: str, name: str) -> EnsembleSpec | None:
    """Of an ensemble in the models folder of the page's own machine; None: there is none."""
    try:
        repository = Repository.trusting(settings.models_dir, settings.model_key)
        if name not in repository.names():
            return None
        return load_spec(repository.open(name), task_named(task))
    except OperatorError:
        return None


async def _answer(ask: Ask, topic: RequestTopic, body: Mapping[str, Any]) -> Any:
    request_id = f"page-{uuid.uuid4().hex}"
    value = orjson.dumps({**body, "id": request_id, "deadline_ms": round(WAIT_S * 1000)})
    try:
        return parse(await ask(topic.name, value, request_id.encode(), WAIT_S))
    except OperatorError as error:
        raise HTTPException(503, str(error)) from None


async def _by_sentence(
    ask: Ask, topic: RequestTopic, body: Mapping[str, Any], chunks: list[list[int]]
) -> list[dict[str, Any]]:
    """Each sentence with what became of it, as it is translated by itself in any text."""
    text = body["text"]
    params = {k: v for k, v in (body.get("params") or {}).items() if k != "return_members"}
    parts = [{**body, "params": params, "text": text[at:to]} for at, to in chunks[:MOST_SENTENCES]]
    answers = await asyncio.gather(*(_answer(ask, topic, part) for part in parts))
    return [
        {"text": part["text"], "result": answer.get("result")}
        for part, answer in zip(parts, answers, strict=True)
    ]


async def _body(request: Request, most_bytes: int) -> dict[str, Any]:
    received = bytearray()
    async for part in request.stream():
        received += part
        if len(received) > most_bytes:
            raise HTTPException(413, f"more than {most_bytes} bytes")
    try:
        body = parse(bytes(received))
    except orjson.JSONDecodeError as error:
        raise HTTPException(400, f"not JSON: {error}") from None
    if not isinstance(body, dict):
        raise HTTPException(400, "not a JSON object")
    return body
