"""The AsyncAPI document: valid, complete, and true to what topics and routes say."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from pydantic import SecretStr
from referencing import Registry
from referencing.jsonschema import DRAFT7

from streamproc.enrichment.catalogue import load_routes
from streamproc.errors import TopicsError
from streamproc.kafka.topics import FeedbackTopic, RequestTopic, load_topics
from streamproc.offline.asyncapi.document import asyncapi_document
from streamproc.settings import Settings
from tests.support.in_process import run

FIXTURES = Path(__file__).parents[1] / "fixtures" / "asyncapi"
ROUTES = Settings().topics_dir / "examples" / "routes"
ROUTED = Settings(routes_dir=ROUTES)
SECURED = Settings(
    routes_dir=ROUTES,
    kafka_bootstrap_servers="kafka-1:9092, [::1]:9093",
    kafka_security_protocol="SASL_SSL",
    kafka_sasl_mechanism="SCRAM-SHA-512",
    kafka_sasl_username="worker",
    kafka_sasl_password=SecretStr("not for anybody"),
    kafka_ssl_certfile=Path("client.pem"),
    reply_topics=("my.answers",),
    copy_headers=("tenant",),
    schema_registry_url="http://registry:8081",
    schema_registry_password=SecretStr("nor this"),
)


def published_schema() -> Draft7Validator:
    schema = json.loads(gzip.decompress((FIXTURES / "schema-3.1.0.json.gz").read_bytes()))
    return Draft7Validator(schema)


def found(document: Any, pointer: str) -> Any:
    for name in pointer.removeprefix("#/").split("/"):
        document = document[name]
    return document


def references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [one for element in node for one in references(element)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [one for value in node.values() for one in references(value)]


def payloads(document: dict[str, Any], message: str) -> Draft7Validator:
    """What says whether a payload is one of the message's."""
    registry: Registry[Any] = Registry().with_resource(
        "urn:asyncapi", DRAFT7.create_resource(document)
    )
    pointer = f"urn:asyncapi#/components/messages/{message}/payload"
    return Draft7Validator({"$ref": pointer}, registry=registry)


@pytest.mark.parametrize("settings", [Settings(), ROUTED, SECURED])
def test_the_document_is_valid_by_the_published_schema(settings: Settings) -> None:
    document = asyncapi_document(settings)
    faults = [
        f"{list(one.path)}: {one.message}" for one in published_schema().iter_errors(document)
    ]
    assert faults == []


def test_the_published_schema_would_find_a_fault() -> None:
    document = asyncapi_document(ROUTED)
    document["operations"]["receive.nlp.translation.bulk.v1"]["action"] = "consume"
    assert list(published_schema().iter_errors(document))


def test_every_topic_is_a_channel_with_messages_and_an_operation() -> None:
    document = asyncapi_document(SECURED)
    described = set(load_topics(SECURED.topics_dir).topics)
    (route,) = load_routes(SECURED)
    routed = {*route.from_.topics, route.to.topic, route.dlq}
    assert set(document["channels"]) == described | routed | {"my.answers"}
    for name, channel in document["channels"].items():
        assert channel["address"] == name
        assert channel["messages"], name
    operated = {one["channel"]["$ref"] for one in document["operations"].values()}
    assert operated == {f"#/channels/{name}" for name in document["channels"]}


def test_requests_are_answered_on_the_topic_that_their_description_names() -> None:
    document = asyncapi_document(Settings())
    requests = load_topics(Settings().topics_dir).requests()
    for topic in requests:
        operation = document["operations"][f"receive.{topic.name}"]
        assert operation["action"] == "receive"
        assert operation["reply"]["channel"]["$ref"] == f"#/channels/{topic.responses}"
        (reply,) = operation["reply"]["messages"]
        assert found(document, reply["$ref"])["$ref"].endswith(f"/{topic.task}.response.v1")


def test_channels_say_what_topics_apply_creates() -> None:
    document = asyncapi_document(ROUTED)
    for topic in load_topics(ROUTED.topics_dir).topics.values():
        binding = document["channels"][topic.name]["bindings"]["kafka"]
        assert binding["partitions"] == topic.topic_partitions
        assert binding["topicConfiguration"]["retention.ms"] == topic.retention_ms


@pytest.mark.parametrize("settings", [Settings(), SECURED])
def test_every_reference_leads_somewhere(settings: Settings) -> None:
    document = asyncapi_document(settings)
    led_to = references(document)
    assert len(led_to) > 100
    for pointer in led_to:
        assert found(document, pointer) is not None, pointer


def test_examples_of_every_topic_are_there_and_fit_their_schemas() -> None:
    document = asyncapi_document(Settings())
    messages = document["components"]["messages"]
    catalogue = load_topics(Settings().topics_dir)
    for topic in catalogue.topics.values():
        for name in document["channels"][topic.name]["messages"]:
            examples = messages[name].get("examples", [])
            assert topic.kind == "dlq" or {Path(one).stem for one in topic.examples} <= {
                one["name"] for one in examples
            }
            valid = payloads(document, name)
            for example in examples:
                assert valid.is_valid(example["payload"]), example["name"]


def test_a_wrong_payload_fits_no_schema() -> None:
    document = asyncapi_document(Settings())
    tasks = load_topics(Settings().topics_dir).tasks()
    assert "text-classification" in tasks
    for task in tasks:
        assert not payloads(document, f"{task}.request.v1").is_valid({"text": 1, "question": 2})
        wrong = {"id": "1", "task": task, "status": "well"}
        assert not payloads(document, f"{task}.response.v1").is_valid(wrong)


def test_an_enriched_event_is_described_where_answers_are_put() -> None:
    valid = payloads(asyncapi_document(ROUTED), "shop-reviews.enriched")
    event = json.loads((ROUTES / "shop-review.expected.json").read_text(encoding="utf-8"))
    assert valid.is_valid(event)
    event["nlp"]["mood"]["score"] = "high"
    assert not valid.is_valid(event)


def test_security_is_that_of_the_settings_and_secrets_stay_out() -> None:
    document = asyncapi_document(SECURED)
    assert [one["host"] for one in document["servers"].values()] == ["kafka-1:9092", "[::1]:9093"]
    for server in document["servers"].values():
        assert server["protocol"] == "kafka-secure"
        kinds = {found(document, one["$ref"])["type"] for one in server["security"]}
        assert kinds == {"scramSha512", "X509"}
    written = json.dumps(document)
    assert "not for anybody" not in written
    assert "nor this" not in written
    assert "security" not in asyncapi_document(Settings())["servers"]["broker-1"]


def test_headers_name_what_a_response_copies() -> None:
    document = asyncapi_document(SECURED)
    headers = document["components"]["schemas"]["response.headers"]
    assert {"traceparent", "correlation-id", "tenant"} <= set(headers["properties"])
    assert "streamproc-request-offset" in headers["required"]


def test_the_command_prints_the_same_as_yaml_and_as_json() -> None:
    as_yaml, as_json = run("topics", "asyncapi"), run("topics", "asyncapi", "--json")
    assert (as_yaml.code, as_json.code) == (0, 0)
    assert yaml.safe_load(as_yaml.out) == json.loads(as_json.out)
    assert "&id" not in as_yaml.out


def test_a_schema_that_is_no_json_is_named(tmp_path: Path) -> None:
    shipped = Settings().topics_dir
    for file in shipped.glob("*.yaml"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "examples").symlink_to(shipped / "examples")
    (tmp_path / "schemas").mkdir()
    for file in (shipped / "schemas").iterdir():
        (tmp_path / "schemas" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "schemas" / "translation.request.v1.json").write_text("{", encoding="utf-8")
    with pytest.raises(TopicsError, match=r"translation\.request\.v1\.json: not JSON"):
        asyncapi_document(Settings(topics_dir=tmp_path))


def test_only_topics_of_requests_and_of_what_was_true_of_them_are_read() -> None:
    document = asyncapi_document(Settings())
    for topic in load_topics(Settings().topics_dir).topics.values():
        receives = f"receive.{topic.name}" in document["operations"]
        assert receives == isinstance(topic, RequestTopic | FeedbackTopic)


def test_references_of_a_schema_of_ones_own_lead_to_what_they_meant(tmp_path: Path) -> None:
    topics = tmp_path / "topics"
    shutil.copytree(Settings().topics_dir, topics)
    file = topics / "schemas" / "translation.request.v1.json"
    schema = json.loads(file.read_text("utf-8"))
    meant = ("#/definitions/who", "#/$defs/request/properties/text", "#", "https://a.test/b.json")
    schema["definitions"] = {"who": {"type": "string"}}
    schema["properties"] = {str(at): {"$ref": one} for at, one in enumerate(meant)}
    file.write_text(json.dumps(schema), "utf-8")

    document = asyncapi_document(Settings(topics_dir=topics))
    own = document["components"]["schemas"]["translation.request.v1"]["properties"]
    *within, elsewhere = (own[str(at)]["$ref"] for at in range(len(meant)))
    assert found(document, within[0]) == {"type": "string"}
    assert found(document, within[1])["type"] == "string"
    assert found(document, within[2])["properties"] == own
    assert elsewhere == meant[-1]
