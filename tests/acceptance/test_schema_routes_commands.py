"""`streamproc routes` over events with schemas, as a user types it, with the shipped models."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.apicurio import Apicurio
from tests.support.avro_events import ORDER, order
from tests.support.command import streamproc

pytestmark = pytest.mark.slow
ROUTE = """
kind: route
name: orders
description: Orders of an invented shop, with their mood.
from: {topics: [TOPIC], format: avro, schema: order.avsc}
answers:
  - name: mood
    task: text-classification
    ensemble: sentiment
    text: /body
    to: /nlp/mood
    keep: [label]
to: {topic: out}
meta: /nlp/run
dlq: dead
examples: [order.json]
"""
SAMPLE = {
    name: value.decode("latin-1") if isinstance(value, bytes) else value
    for name, value in order().items()
}


def described(folder: Path, text: str = ROUTE, topic: str = "orders.v1") -> Path:
    """The route, its schema, and an example with what is expected of it."""
    (folder / "order.avsc").write_text(json.dumps(ORDER), "utf-8")
    (folder / "order.json").write_text(json.dumps(SAMPLE), "utf-8")
    run = {"ok": ["mood"], "skipped": [], "failed": {}, "manifests": {}}
    expected = {**SAMPLE, "nlp": {"mood": {"label": "positive"}, "run": run}}
    (folder / "order.expected.json").write_text(json.dumps(expected), "utf-8")
    file = folder / "orders.yaml"
    file.write_text(text.replace("TOPIC", topic), "utf-8")
    return file


def tried(route: Path, *events: object, **settings: str) -> subprocess.CompletedProcess[str]:
    """`routes try --json` over these events."""
    lines = "".join(json.dumps(event) + "\n" for event in events)
    return streamproc("routes", "try", route, "-", "--json", stdin=lines, settings=settings)


def test_samples_are_json_plain_or_as_tools_print_avro(tmp_path: Path) -> None:
    printed = {**SAMPLE, "body": {"string": "a terrible day"}}
    done = tried(described(tmp_path), SAMPLE, printed, {**SAMPLE, "state": "LOST"})

    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert json.loads(first)["nlp"]["mood"] == {"label": "positive"}
    assert {**json.loads(first), "nlp": None} == {**SAMPLE, "nlp": None}
    assert json.loads(second)["nlp"]["mood"] == {"label": "negative"}
    assert "für Ada" in tried(described(tmp_path), {**SAMPLE, "body": "für Ada"}).stdout
    assert done.stderr.startswith("event 3 → dead, a dead letter: no event of the schema")


def test_a_schema_that_is_no_json_is_refused_with_its_line(tmp_path: Path) -> None:
    route = described(tmp_path)
    (tmp_path / "order.avsc").write_text('{"type":\n"record",', "utf-8")
    done = tried(route, SAMPLE)

    assert done.returncode == 2
    assert "wrong schema: it is not JSON: Expecting property name" in done.stderr
    assert "line 2 column 10" in done.stderr


def test_check_runs_the_examples(tmp_path: Path) -> None:
    described(tmp_path)
    same = streamproc("routes", "check", settings={"ROUTES_DIR": str(tmp_path)})
    file = tmp_path / "order.expected.json"
    file.write_text(file.read_text("utf-8").replace("positive", "negative"), "utf-8")
    other = streamproc("routes", "check", settings={"ROUTES_DIR": str(tmp_path)})

    assert same.returncode == 0
    assert same.stdout == (
        "orders: 1 example, no differences\n"
        "look at orders: from.format: avro needs a schema registry where a worker runs, and "
        "STREAMPROC_SCHEMA_REGISTRY_URL is not set\n"
    )
    assert '/nlp/mood/label is "positive", expected "negative"' in other.stdout


def test_without_a_file_or_a_registry_avro_has_no_schema(tmp_path: Path) -> None:
    route = described(tmp_path, ROUTE.replace(", schema: order.avsc", ""))
    done = tried(route, SAMPLE)

    assert done.returncode == 2
    assert "name its file as from.schema, or set STREAMPROC_SCHEMA_REGISTRY_URL" in done.stderr


@pytest.mark.parametrize(
    ("schema", "why"),
    [("lost.avsc", "lost.avsc: No such file"), ("order.json", "wrong schema")],
)
def test_a_schema_that_is_none_is_named(tmp_path: Path, schema: str, why: str) -> None:
    done = tried(described(tmp_path, ROUTE.replace("order.avsc", schema)), SAMPLE)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert why in done.stderr


def test_a_route_that_avro_can_not_hold_is_refused(tmp_path: Path) -> None:
    text = ROUTE.replace("text: /body", "text: /lines/*/text").replace("to: /nlp/mood", "to: mood")
    done = tried(described(tmp_path, text), SAMPLE)

    assert done.returncode == 2
    assert "orders.yaml: to: /lines/*/mood: Avro events get their answers behind" in done.stderr


def test_the_schema_is_the_registrys_last_one_and_nothing_is_registered(
    tmp_path: Path, schema_registry: Apicurio
) -> None:
    topic = uuid4().hex
    schema_registry.register(f"{topic}-value", ORDER)
    before = schema_registry.subjects()
    route = described(tmp_path, ROUTE.replace(", schema: order.avsc", ""), topic)
    done = tried(route, SAMPLE, SCHEMA_REGISTRY_URL=schema_registry.url)
    unknown = described(tmp_path, ROUTE.replace(", schema: order.avsc", ""), "nobody")
    lost = tried(unknown, SAMPLE, SCHEMA_REGISTRY_URL=schema_registry.url)

    assert json.loads(done.stdout)["nlp"]["mood"] == {"label": "positive"}
    assert schema_registry.subjects() == before
    assert (lost.returncode, "no subject nobody-value" in lost.stderr) == (2, True)


def test_json_with_a_schema_is_tried_without_one_too(tmp_path: Path) -> None:
    text = ROUTE.replace("format: avro, schema: order.avsc", "format: json-schema")
    done = tried(described(tmp_path, text), {"body": "a good day", "n": 12345678901234567890})

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('{"body": "a good day", "n": 12345678901234567890,"nlp":')
