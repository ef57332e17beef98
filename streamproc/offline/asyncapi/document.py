"""An AsyncAPI 3.1 document of all topics and routes.

Source: the AsyncAPI specification 3.1.0, and its Kafka bindings 0.5.0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, cast

import orjson

from streamproc import __version__
from streamproc.enrichment.catalogue import load_routes
from streamproc.errors import TopicsError
from streamproc.kafka.topics import RequestTopic, Topic, TopicCatalogue, load_topics
from streamproc.messages.outgoing import CORRELATION_ID
from streamproc.messages.reply_address import SPRING_CORRELATION_ID
from streamproc.offline.asyncapi.channels import KAFKA_BINDING, Channels
from streamproc.offline.asyncapi.components import Components
from streamproc.offline.asyncapi.headers import request_headers, response_headers
from streamproc.offline.asyncapi.routed_events import add_route
from streamproc.offline.asyncapi.servers import security_schemes, servers
from streamproc.settings import Settings, shipped

VERSION: Final = "3.1.0"
_KEY_OF_CANCELS: Final = {
    "kafka": {
        "key": {"description": f"The bytes of the request's header {SPRING_CORRELATION_ID}."},
        "bindingVersion": KAFKA_BINDING,
    }
}
_CORRELATION: Final = {"location": f"$message.header#/{CORRELATION_ID}"}


def asyncapi_document(settings: Settings) -> dict[str, Any]:
    """The document, ready to encode; raises TopicsError where a description is wrong."""
    routes = load_routes(settings)
    catalogue = load_topics(settings.topics_dir, required=not routes)
    components, channels = Components(), Channels(settings)
    messages = _messages(catalogue, components, settings)
    for topic in catalogue.topics.values():
        channels.add(topic.name, topic.description, messages[topic.name], topic)
        if isinstance(topic, RequestTopic):
            reply = topic.responses, messages[topic.responses]
            name, own = f"receive.{topic.name}", messages[topic.name]
            channels.receives(name, topic.name, topic.description, own, reply)
        elif topic.kind == "feedback":
            name, own = f"receive.{topic.name}", messages[topic.name]
            channels.receives(name, topic.name, topic.description, own)
        else:
            own = messages[topic.name]
            channels.sends(f"send.{topic.name}", topic.name, topic.description, own)
    of_kind = catalogue.of_kind("responses")
    responses = sorted({one for topic in of_kind for one in messages[topic.name]})
    for name in settings.reply_topics:
        description = "Responses to requests that name it in their header reply-topic."
        channels.add(name, description, responses)
        channels.sends(f"send.{name}", name, description, responses)
    letter_headers = _dead_letter("headers")
    for route in routes:
        add_route(route, channels, components, letter_headers)
    schemes = security_schemes(settings)
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "streamproc",
            "version": __version__,
            "description": "Texts in by Kafka, answers of ensembles of models out by Kafka.",
        },
        "defaultContentType": "application/json",
        "servers": servers(settings),
        "channels": channels.channels,
        "operations": channels.operations,
        "components": {
            "messages": components.messages,
            "schemas": components.schemas,
            **({"securitySchemes": schemes} if schemes else {}),
        },
    }


def _messages(
    catalogue: TopicCatalogue, components: Components, settings: Settings
) -> dict[str, list[str]]:
    """The messages of each described topic; those of both lanes are the same."""
    of_requests = components.schema("request.headers", request_headers())
    of_responses = components.schema("response.headers", response_headers(settings.copy_headers))
    headers = {
        "requests": of_requests,
        "bulk": of_requests,
        "responses": of_responses,
        "replies": of_responses,
        "dlq": components.schema("dead-letter.headers", _dead_letter("headers")),
    }
    found = {}
    for topic in catalogue.topics.values():
        if topic.kind == "dlq":
            payload = {"description": "The bytes of the request as it came; null: a tombstone."}
            message: dict[str, Any] = {"payload": payload, "headers": headers["dlq"]}
            found[topic.name] = [components.message(f"{topic.task}.dead-letter", message)]
            continue
        name = Path(topic.schema_file).stem
        has_headers = topic.kind in headers
        message = {
            **(
                {"correlationId": _CORRELATION, "headers": headers[topic.kind]}
                if has_headers
                else {}
            ),
            **({"bindings": _KEY_OF_CANCELS} if topic.kind == "cancels" else {}),
            "payload": components.schema(name, _read(catalogue.folder / topic.schema_file)),
            "examples": _examples(catalogue, topic, name, components),
        }
        found[topic.name] = [components.message(name, message)]
    return found


def _examples(
    catalogue: TopicCatalogue, topic: Topic, name: str, components: Components
) -> list[dict[str, Any]]:
    """Those of the topic, behind those that another topic with the same messages has."""
    before: list[dict[str, Any]] = components.messages.get(name, {}).get("examples", [])
    known = {one["name"] for one in before}
    own = [(Path(path).stem, catalogue.folder / path) for path in topic.examples]
    return before + [
        {"name": stem, "payload": _read(file)} for stem, file in own if stem not in known
    ]


def _dead_letter(part: str) -> dict[str, Any]:
    """The schema of a part of a dead letter, which is the same whatever the topic."""
    schema = _read(shipped("topics") / "schemas" / "dead-letter.v1.json")
    return cast("dict[str, Any]", schema["properties"][part])


def _read(file: Path) -> dict[str, Any]:
    try:
        return cast("dict[str, Any]", orjson.loads(file.read_bytes()))
    except ValueError as error:
        raise TopicsError(f"{file}: not JSON: {error}") from None
