"""Confluent's client, as routes use it, against a real schema registry."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from streamproc.clock import SystemClock
from streamproc.enrichment.registry.confluent_client import ConfluentRegistry
from streamproc.enrichment.registry.registry_format import RegistryFormat
from streamproc.enrichment.registry.schemas import Reference, Schema, SchemaRefused, UnknownSchema
from streamproc.errors import RegistryUnavailable, SettingsError
from streamproc.settings import read_settings
from tests.support.apicurio import Apicurio
from tests.support.avro_events import ORDER, encoded, framed, order
from tests.support.route_scenes import MOOD, RegistryScene

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
OTHER = {"type": "record", "name": "Order", "namespace": "shop", "fields": [
    {"name": "new", "type": "string"}]}  # fmt: skip


@asynccontextmanager
async def client(url: str, **settings: Any) -> AsyncIterator[ConfluentRegistry]:
    """The client of a registry, closed at the end."""
    registry = ConfluentRegistry(read_settings(schema_registry_url=url, **settings))
    try:
        yield registry
    finally:
        await registry.close()


def subject() -> str:
    return f"{uuid4().hex}-value"


async def test_a_schema_is_had_by_its_id_and_by_its_subject(schema_registry: Apicurio) -> None:
    name = subject()
    id_ = schema_registry.register(name, ORDER)
    async with client(schema_registry.url) as registry:
        found, versions = await registry.schema(id_), await registry.versions(name, 20)

    assert versions == [found]
    assert (json.loads(found.text), found.type, found.references) == (ORDER, "AVRO", ())


async def test_what_is_not_there_is_unknown(schema_registry: Apicurio) -> None:
    async with client(schema_registry.url) as registry:
        assert await registry.versions(subject(), 20) == []
        with pytest.raises(UnknownSchema, match="the registry has none of id 999999"):
            await registry.schema(999_999)
        with pytest.raises(UnknownSchema):
            await registry.schema(UUID(int=1))
        with pytest.raises(UnknownSchema, match=r"no version 7 of nothing, .* as shop\.Money"):
            await registry.version(Reference("shop.Money", "nothing", 7))


async def test_registering_again_gives_the_same_id(schema_registry: Apicurio) -> None:
    name = subject()
    schema = Schema(json.dumps(ORDER), "AVRO")
    async with client(schema_registry.url) as one, client(schema_registry.url) as other:
        first, again = await one.register(name, schema), await other.register(name, schema)

    assert first == again
    assert schema_registry.versions(name) == [1]


async def test_a_schema_that_is_not_compatible_is_refused(schema_registry: Apicurio) -> None:
    name = subject()
    schema_registry.register(name, ORDER)
    schema_registry.require(name, "BACKWARD")
    async with client(schema_registry.url) as registry:
        with pytest.raises(SchemaRefused, match=f"does not take it under {name}: .*Incompatible"):
            await registry.register(name, Schema(json.dumps(OTHER), "AVRO"))


@pytest.mark.parametrize("compatibility", ["BACKWARD", "FORWARD", "FULL", "FULL_TRANSITIVE"])
async def test_longer_schemas_are_compatible_as_those_that_they_are_made_of(
    schema_registry: Apicurio, compatibility: str
) -> None:
    topic = uuid4().hex
    more = [*ORDER["fields"], {"name": "rating", "type": ["null", "int"], "default": None}]
    to = {"topic": f"{topic}.out"}
    async with client(schema_registry.url) as registry:
        for fields in (ORDER["fields"], more):
            schema_registry.register(f"{topic}-value", {**ORDER, "fields": fields})
            schema_registry.require(f"{topic}-value", compatibility)
            for answers in ([MOOD], [MOOD, {**MOOD, "name": "more", "to": "/nlp/more"}]):
                async with client(schema_registry.url) as anew:
                    scene = RegistryScene(registry, *answers, to=to, topic=topic)
                    await RegistryFormat(scene.route, anew, SystemClock()).prepare()
                schema_registry.require(f"{topic}.out-value", compatibility)

    assert schema_registry.versions(f"{topic}.out-value") == [1, 2, 3, 4]


async def test_events_of_an_older_schema_that_would_not_be_taken_behind_a_newer_come_out(
    schema_registry: Apicurio,
) -> None:
    topic = uuid4().hex
    newer = {**ORDER, "fields": [one for one in ORDER["fields"] if one["name"] != "day"]}
    ids = [schema_registry.register(f"{topic}-value", one) for one in (ORDER, newer)]
    async with client(schema_registry.url) as registry:
        scene = RegistryScene(registry, MOOD, to={"topic": f"{topic}.out"}, topic=topic)
        await RegistryFormat(scene.route, registry, SystemClock()).prepare()
        schema_registry.require(f"{topic}.out-value", "BACKWARD")
        bodies = [encoded(one, order()) for one in (ORDER, newer)]
        published = [
            await scene.through(framed(id_, body)) for id_, body in zip(ids, bodies, strict=True)
        ]

    assert [one.topic for one in published] == [f"{topic}.out"] * 2


async def test_longer_json_schemas_are_compatible_too(schema_registry: Apicurio) -> None:
    topic = uuid4().hex
    first = {"type": "object", "properties": {"body": {"type": "string"}},
             "additionalProperties": False}  # fmt: skip
    more = {**first, "properties": {"body": {"type": "string"}, "rating": {"type": "integer"}}}
    to = {"topic": f"{topic}.out"}
    two = [MOOD, {**MOOD, "name": "more", "to": "/nlp/more"}]
    for schema, answers in ((first, [MOOD]), (first, two), (more, two)):
        schema_registry.register(f"{topic}-value", json.dumps(schema), "JSON")
        async with client(schema_registry.url) as registry:
            scene = RegistryScene(registry, *answers, to=to, format_="json-schema", topic=topic)
            await RegistryFormat(scene.route, registry, SystemClock()).prepare()
        schema_registry.require(f"{topic}.out-value", "BACKWARD")

    assert schema_registry.versions(f"{topic}.out-value") == [1, 2, 3]


async def test_a_schema_that_uses_another_is_read_with_it(schema_registry: Apicurio) -> None:
    topic, money = uuid4().hex, subject()
    schema_registry.register(money, {"type": "record", "name": "Money", "namespace": "shop",
                                     "fields": [{"name": "cents", "type": "long"}]})  # fmt: skip
    using = {"type": "record", "name": "Sale", "namespace": "shop", "fields": [
        {"name": "body", "type": "string"}, {"name": "total", "type": "shop.Money"}]}  # fmt: skip
    body = {"schema": json.dumps(using), "schemaType": "AVRO", "references": [
        {"name": "shop.Money", "subject": money, "version": 1}]}  # fmt: skip
    id_ = schema_registry.call("POST", f"/subjects/{topic}-value/versions", body)["id"]
    async with client(schema_registry.url) as registry:
        scene = RegistryScene(registry, MOOD, to={"topic": f"{topic}.out"})
        published = await scene.through(framed(id_, b"\x08good\x0a"))

    assert published.topic == f"{topic}.out"
    assert (published.value or b"")[5:].startswith(b"\x08good\x0a")


async def test_a_registry_that_is_not_there_is_unavailable() -> None:
    async with client("http://127.0.0.1:9") as registry:
        with pytest.raises(RegistryUnavailable, match="no schema registry answers at http://127"):
            await registry.schema(1)


@contextmanager
def answering(*answers: tuple[int, str]) -> Iterator[tuple[str, list[Any]]]:
    """A server that gives these answers in turn, and what it was asked."""
    left, asked = list(answers), list[Any]()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append((self.command, self.path, self.headers.get("Authorization"), sent))
            status, body = left.pop(0)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    "answer",
    [
        (500, '{"error_code": 50001, "message": "no leader"}'),
        (401, '{"error_code": 401, "message": "Unauthorized"}'),
        (404, "<html>nothing here</html>"),
        (200, "<html>log in first</html>"),
    ],
)
async def test_what_is_wrong_with_the_registry_is_no_fault_of_an_event(
    answer: tuple[int, str],
) -> None:
    with answering(answer) as (url, _):
        async with client(url) as registry:
            with pytest.raises(RegistryUnavailable, match=url):
                await registry.schema(1)


async def test_a_guid_is_asked_for_and_registered_schemas_say_theirs() -> None:
    guid = UUID(int=5)
    schema = json.dumps({"schema": "{}", "schemaType": "JSON", "guid": str(guid)})
    missing = '{"error_code": 40401, "message": "Subject not found"}'
    registered = json.dumps({"id": 7, "guid": str(guid), "version": 1})
    with answering((200, schema), (404, missing), (200, registered)) as (url, asked):
        async with client(url) as registry:
            found = await registry.schema(guid)
            name = await registry.register("out-value", found)

    assert (name.id, name.guid) == (7, guid)
    assert asked[0][1] == f"/schemas/guids/{guid}"
    assert [one[0] for one in asked] == ["GET", "POST", "POST"]


async def test_metadata_and_rules_go_on_with_a_schema_that_is_made_of_another() -> None:
    rules = {"domainRules": [{"name": "hide", "kind": "TRANSFORM", "type": "ENCRYPT"}]}
    stored = {"schema": "{}", "schemaType": "JSON", "ruleSet": rules,
              "metadata": {"properties": {"owner": "shop"}}}  # fmt: skip
    missing = '{"error_code": 40401, "message": "Subject not found"}'
    with answering((200, json.dumps(stored)), (404, missing), (200, '{"id": 7}')) as (url, asked):
        async with client(url) as registry:
            await registry.register("out-value", replace(await registry.schema(1), text="true"))

    sent = json.loads(asked[-1][3])
    assert sent["schema"] == "true"
    assert sent["metadata"]["properties"] == {"owner": "shop"}
    assert sent["ruleSet"]["domainRules"][0]["type"] == "ENCRYPT"


async def test_who_may_not_register_gets_on_where_the_schema_is_there() -> None:
    there = json.dumps({"subject": "out-value", "id": 7, "version": 1, "schema": "{}"})
    with answering((200, there)) as (url, asked):
        async with client(url) as registry:
            name = await registry.register("out-value", Schema("{}", "JSON"))

    assert name.id == 7
    assert len(asked) == 1


async def test_user_and_password_are_sent_and_told_nobody() -> None:
    with answering((500, "{}")) as (url, asked):
        settings = {"schema_registry_username": "shop", "schema_registry_password": "hunter2"}
        async with client(url, **settings) as registry:
            with pytest.raises(RegistryUnavailable) as error:
                await registry.schema(1)

    assert asked[0][2] == "Basic c2hvcDpodW50ZXIy"
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, "STREAMPROC_SCHEMA_REGISTRY_URL is not set"),
        (
            {"schema_registry_url": "http://r", "schema_registry_username": "u"},
            "STREAMPROC_SCHEMA_REGISTRY_PASSWORD belong together",
        ),
        (
            {"schema_registry_url": "http://r", "schema_registry_ssl_cafile": Path("no.pem")},
            "there is no file no.pem",
        ),
    ],
)
def test_settings_that_lead_to_no_registry_are_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        ConfluentRegistry(read_settings(**settings))


async def test_events_written_by_others_are_read_by_the_ids_of_a_real_registry(
    schema_registry: Apicurio,
) -> None:
    topic = uuid4().hex
    id_ = schema_registry.register(f"{topic}-value", ORDER)
    async with client(schema_registry.url) as registry:
        scene = RegistryScene(registry, MOOD, to={"topic": f"{topic}.out"})
        body = encoded(ORDER, order())
        plain = await scene.through(framed(id_, body))
        header = await scene.through(body, (("__value_schema_id", framed(id_, b"")),))

    said = dict(header.headers)["__value_schema_id"] or b""
    assert (plain.value or b"")[:5] == said
    assert (plain.value or b"")[5:] == header.value
    assert schema_registry.schema(int.from_bytes(said[1:], "big"))["fields"][-1]["name"] == "nlp"
