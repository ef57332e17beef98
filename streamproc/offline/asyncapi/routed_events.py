"""The messages of routes: events as they come, with answers in them, and given up on."""

from __future__ import annotations

from typing import Any, Final

import orjson

from streamproc.enrichment.catalogue import route_topics
from streamproc.enrichment.registry.answer_types import placed_types
from streamproc.enrichment.registry.json_schema import with_answers
from streamproc.enrichment.route import Route
from streamproc.offline.asyncapi.channels import Channels
from streamproc.offline.asyncapi.components import Components
from streamproc.offline.asyncapi.headers import enriched_headers, event_letter_headers

_CONTENT_TYPE: Final = {"avro": "application/vnd.apache.avro"}
_ANY_EVENT: Final = {"description": "An event of any shape."}


def add_route(
    route: Route, channels: Channels, components: Components, letter_headers: dict[str, Any]
) -> None:
    """The topics of a route. letter_headers: the schema of the headers of any dead letter"""
    described = {topic.name: topic for topic in route_topics([route])}
    event, enriched, letter = _messages(route, components, letter_headers)
    for topic in route.from_.topics:
        summary = f"Events of the route {route.name}."
        channels.add(topic, summary, [event])
        reply = route.to.topic, [enriched]
        channels.receives(f"{route.name}.receive.{topic}", topic, route.description, [event], reply)
    summary = f"Events of {', '.join(route.from_.topics)}, with answers where they were asked for."
    channels.add(route.to.topic, summary, [enriched], described[route.to.topic])
    channels.sends(f"{route.name}.send", route.to.topic, summary, [enriched])
    summary = f"Events that the route {route.name} gave up on, unchanged, with the reason."
    channels.add(route.dlq, summary, [letter], described[route.dlq])
    channels.sends(f"{route.name}.send-dead-letter", route.dlq, summary, [letter])


def _messages(
    route: Route, components: Components, letter_headers: dict[str, Any]
) -> tuple[str, str, str]:
    name, form = route.name, route.from_.format
    shared = {"contentType": _CONTENT_TYPE.get(form, "application/json")}
    payload: dict[str, Any] = {"payload": _ANY_EVENT}
    enriched: dict[str, Any] = {"payload": _payload(route, components)}
    if route.from_.has_registry:
        # The registry has the schema of each event, and the payload is not plain JSON.
        binding = {"kafka": {"schemaIdLocation": "payload", "bindingVersion": "0.5.0"}}
        shared |= {"bindings": binding}  # type: ignore[dict-item]
        subject = route.to.subject or f"{route.to.topic}-value"
        payload = {"description": f"Its schema is in the registry ({form})."}
        enriched = {"description": f"Its schema is the registry's subject {subject} ({form})."}
    headers = components.schema(f"{name}.enriched.headers", enriched_headers())
    letter = components.schema(f"{name}.dead-letter.headers", event_letter_headers(letter_headers))
    return (
        components.message(f"{name}.event", {**shared, **payload}),
        components.message(f"{name}.enriched", {**shared, **enriched, "headers": headers}),
        components.message(f"{name}.dead-letter", {**shared, **payload, "headers": letter}),
    )


def _payload(route: Route, components: Components) -> dict[str, Any]:
    answers = with_answers('{"type": "object", "properties": {}}', placed_types(route))
    schema: dict[str, str] = components.schema(f"{route.name}.enriched", orjson.loads(answers))
    if route.from_.format != "cloudevents":
        return schema
    structured = {"type": "object", "required": ["specversion"], "properties": {"data": schema}}
    return {"anyOf": [structured, schema]}
