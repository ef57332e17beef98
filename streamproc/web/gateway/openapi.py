"""The OpenAPI document: the schemas of topics are those of bodies, so they are said once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from streamproc import __version__
from streamproc.kafka.topics import TopicCatalogue
from streamproc.web.gateway.problems import MEDIA_TYPE

_COMPONENTS: Final = "#/components/schemas/"
_PROBLEM: Final = {
    "type": "object",
    "description": "A problem as RFC 9457 has it.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "To branch on: urn:streamproc:problem:…"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "This occurrence, and what to do."},
        "response": {
            "type": "object",
            "description": "The worker's response, where it answered with an error.",
        },
    },
}
ASKING: Final = (400, 401, 403, 404, 408, 413, 422, 429, 502, 503, 504)
"""The statuses that a request may get in place of an answer."""
WAIT_HEADER: Final = {
    "name": "Prefer",
    "in": "header",
    "schema": {"type": "string"},
    "description": "`wait=N` seconds (RFC 7240).",
    "example": "wait=10",
}
ASK_HEADERS: Final = [
    WAIT_HEADER
    | {
        "description": "`wait=N` seconds; `respond-async` for 202 and a Location (RFC 7240).",
        "example": "respond-async, wait=2",
    },
    {
        "name": "Idempotency-Key",
        "in": "header",
        "schema": {"type": "string"},
        "description": "The same key and body get the same answer while it is kept.",
    },
    {
        "name": "traceparent",
        "in": "header",
        "schema": {"type": "string"},
        "description": "W3C trace context; carried through Kafka, as `tracestate` is.",
    },
]


@dataclass(frozen=True, slots=True)
class Described:
    """What FastAPI is told of an address: its responses, and all else."""

    responses: dict[int | str, dict[str, Any]]
    extra: dict[str, Any]


def task_body(task: str) -> Described:
    """Requests and responses of a task, as the schemas of its topics have them."""
    request, response = _reference(f"{task}.request"), _reference(f"{task}.response")
    each = {
        "type": "object",
        "required": ["status", "body"],
        "properties": {
            "status": {"type": "integer", "description": "The HTTP status it had alone."},
            "body": {"anyOf": [response, _reference("problem")]},
        },
    }
    batch = {"type": "array", "items": request}
    answer = {"anyOf": [response, {"type": "array", "items": each}]}
    return Described(
        {
            200: {
                "description": "The answer; to a list one for each, in their order",
                "content": _json(answer),
            },
            202: {"description": "On its way: look at Location later"},
            **problem_responses(*ASKING),
        },
        {
            "parameters": ASK_HEADERS,
            "requestBody": {"required": True, "content": _json({"anyOf": [request, batch]})},
        },
    )


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Responses that are problems."""
    content = {MEDIA_TYPE: {"schema": _reference("problem")}}
    return {status: {"description": "A problem", "content": content} for status in statuses}


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Errors in the form of another API."""
    content = _json({"type": "object", "required": ["error"]})
    return {status: {"description": "An error", "content": content} for status in statuses}


def document(app: FastAPI, topics: TopicCatalogue) -> dict[str, Any]:
    """The whole document."""
    made = get_openapi(
        title="streamproc gateway",
        version=__version__,
        description="NLP on Kafka event streams, asked over HTTP.",
        routes=app.routes,
    )
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    schemas["problem"] = _PROBLEM
    for task, topic in topics.interactive().items():
        for kind, of in (("request", topic), ("response", topics.topics[topic.responses])):
            schema = json.loads((topics.folder / of.schema_file).read_text("utf-8"))
            schemas |= _components(f"{task}.{kind}", schema)
    return made


def _components(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A schema and those defined in it, as components that name each other."""
    inner = schema.pop("$defs", {})
    schema.pop("$schema", None)
    named = {name: schema} | {f"{name}.{of}": defined for of, defined in inner.items()}
    return {key: _renamed(value, name) for key, value in named.items()}


def _renamed(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return [_renamed(each, name) for each in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    if isinstance(reference, str):
        return {"$ref": reference.replace("#/$defs/", f"{_COMPONENTS}{name}.")}
    return {key: _renamed(each, name) for key, each in value.items()}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": _COMPONENTS + name}


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
