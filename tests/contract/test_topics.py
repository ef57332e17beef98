"""The shipped topic descriptions, schemas and examples agree with each other and with the code."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from streamproc.errors import Invalid
from streamproc.kafka.dead_letters import DeadLetter
from streamproc.kafka.topics import load_topics
from streamproc.messages.cancel import cancel_record
from streamproc.messages.cloudevents import STRUCTURED
from streamproc.messages.experiment import Experiment, read_experiment
from streamproc.messages.exposure import Exposure, read_exposure
from streamproc.messages.feedback import Feedback, read_feedback
from streamproc.messages.model_choice import ModelChoice, read_choice
from streamproc.messages.outgoing import dead_letter, part_record, response_record
from streamproc.messages.parts import Part
from streamproc.messages.record import Record
from streamproc.messages.reply_address import ReplyAddress
from streamproc.messages.request import InvalidRequest, Request, RequestFields, read_request
from streamproc.messages.response import (
    Coverage,
    ErrorType,
    ExperimentArm,
    MemberReport,
    MemberStatus,
    Problem,
    Response,
    Status,
    Timing,
    Usage,
)
from streamproc.messages.worker_state import WorkerState, read_state
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.task import ScoringTask, validated
from streamproc.settings import Settings
from tests.support.values import ANY, fields_near

CATALOGUE = load_topics(Settings().topics_dir)
EXAMPLES = [
    pytest.param(topic, path, id=f"{topic.kind}-{Path(path).stem}")
    for topic in CATALOGUE.topics.values()
    for path in topic.examples
]
TASKS = CATALOGUE.tasks()
READERS: dict[str, Any] = {
    "experiments": read_experiment,
    "exposures": read_exposure,
    "feedback": read_feedback,
    "models": read_choice,
    "state": read_state,
}
MODELS: dict[str, type[BaseModel]] = {
    "experiment": Experiment,
    "exposure": Exposure,
    "feedback": Feedback,
    "model-choice": ModelChoice,
    "worker-state": WorkerState,
}


def load(path: str) -> Any:
    return json.loads((CATALOGUE.folder / path).read_text(encoding="utf-8"))


@cache
def request_schema(task: str) -> dict[str, Any]:
    return load(f"schemas/{task}.request.v1.json")  # type: ignore[no-any-return]


@cache
def validator(task: str) -> Draft202012Validator:
    return Draft202012Validator(request_schema(task))


def response_schema(task: str) -> dict[str, Any]:
    return load(f"schemas/{task}.response.v1.json")  # type: ignore[no-any-return]


def record_of(body: object, *, structured: bool = False) -> Record:
    headers = (("content-type", STRUCTURED.encode()),) if structured else ()
    return Record("t", 0, 0, 1_700_000_000_000, None, orjson.dumps(body), headers)


def is_accepted(task: str, body: object, *, structured: bool = False) -> bool:
    request = read_request(record_of(body, structured=structured), 1 << 20)
    if isinstance(request, InvalidRequest):
        return False
    try:
        validated(task_named(task).inputs, request.inputs)
        validated(task_named(task).params, request.params, "params")
    except Invalid:
        return False
    return True


@pytest.mark.parametrize("topic", CATALOGUE.topics.values(), ids=lambda topic: str(topic.name))
def test_a_topic_is_described_in_a_file_of_its_name(topic: Any) -> None:
    assert (CATALOGUE.folder / f"{topic.name}.yaml").is_file()


@pytest.mark.parametrize("path", sorted((CATALOGUE.folder / "schemas").glob("*.json")), ids=str)
def test_a_schema_is_a_valid_schema(path: Path) -> None:
    Draft202012Validator.check_schema(json.loads(path.read_text()))


def test_every_example_and_schema_belongs_to_a_topic() -> None:
    named = {p for t in CATALOGUE.topics.values() for p in (*t.examples, t.schema_file)}
    there = {str(path.relative_to(CATALOGUE.folder)) for path in CATALOGUE.folder.glob("*/*.json")}
    assert there == named


@pytest.mark.parametrize(("topic", "path"), EXAMPLES)
def test_an_example_fits_its_schema(topic: Any, path: str) -> None:
    Draft202012Validator(load(topic.schema_file)).validate(load(path))


@pytest.mark.parametrize(("topic", "path"), EXAMPLES)
def test_an_example_is_what_the_code_takes_or_makes(topic: Any, path: str) -> None:
    body = load(path)
    if topic.kind in ("requests", "bulk"):
        assert is_accepted(topic.task, body, structured="specversion" in body)
    elif topic.kind == "cancels":
        assert cancel_record(topic.name, b"id").value is body is None
    elif "attempt" in body:
        part = Part(body["attempt"], body["sequence"], body["text"])
        request = read_request(record_of({"id": body["id"], "text": ""}), 1 << 20)
        assert isinstance(request, Request)
        told = part_record(record_of({}), part, request, body["task"], ReplyAddress("t"), 0)
        assert orjson.loads(told.value or b"") == body
    elif topic.kind in ("responses", "replies"):
        response = response_from(body)
        made = response_record(
            record_of({}), response, envelope_of_a_plain_request(), ReplyAddress("t"), 0
        )
        assert orjson.loads(made.value or b"") == body
    elif topic.kind in READERS:
        found = READERS[topic.kind](orjson.dumps(body))
        assert found is not None
        assert orjson.loads(found.encode()) == body
    else:
        headers = tuple((name, text.encode()) for name, text in body["headers"].items())
        value = base64.b64decode(body["value"])
        letter = DeadLetter(Record("d", 0, 0, 0, body["key"].encode(), value, headers))
        position = (letter.request_topic, int(body["headers"]["streamproc-request-partition"]))
        came = Record(*position, 1207, 0, b"shop-1", value, headers[:1])
        fault = Problem("invalid", letter.title, letter.detail)
        assert dead_letter(came, fault, letter.request_id, "d").headers == headers


def envelope_of_a_plain_request() -> Any:
    request = read_request(record_of({"text": ""}), 1 << 20)
    assert isinstance(request, Request)
    return request.envelope


def response_from(body: dict[str, Any]) -> Response:
    nested: dict[str, Any] = {
        "coverage": Coverage,
        "timing": Timing,
        "usage": Usage,
        "error": Problem,
        "experiment": ExperimentArm,
    }
    values = {name: nested[name](**v) if name in nested else v for name, v in body.items()}
    if "metadata" in body:
        values["metadata"] = orjson.dumps(body["metadata"])
    values["warnings"] = tuple(body.get("warnings", ()))
    values["members"] = tuple(MemberReport(**member) for member in body.get("members", ()))
    return Response(**values)


@pytest.mark.parametrize("name", MODELS)
def test_the_schema_of_what_is_validated_is_that_of_the_code(name: str) -> None:
    described = load(f"schemas/{name}.v1.json")
    assert described.pop("$schema").startswith("https://json-schema.org/")
    assert described == MODELS[name].model_json_schema()


@pytest.mark.parametrize("task", TASKS)
def test_the_request_schema_names_the_fields_the_code_knows(task: str) -> None:
    described = request_schema(task)["$defs"]
    inputs, params = task_named(task).inputs.model_fields, task_named(task).params.model_fields
    assert described["request"]["properties"].keys() == RequestFields.model_fields.keys() | inputs
    assert described["params"]["properties"].keys() == params.keys()


@pytest.mark.parametrize("task", TASKS)
def test_the_response_schema_names_the_fields_the_code_writes(task: str) -> None:
    schema = response_schema(task)
    described = schema["properties"]
    assert described["task"] == {"const": task}
    # Members that write a text are all asked, and only what continues a prompt counts its tokens.
    can_skip = isinstance(task_named(task), ScoringTask)
    has = {"profile": can_skip, "usage": task == "text-generation"}
    of_others = {name for name, is_its in has.items() if not is_its}
    assert described.keys() == {field.name for field in fields(Response)} - of_others
    nested = (
        ("coverage", Coverage),
        ("timing", Timing),
        ("error", Problem),
        ("experiment", ExperimentArm),
    )
    for name, kind in nested:
        assert described[name]["properties"].keys() == {field.name for field in fields(kind)}
    member = schema["$defs"]["member"]["properties"]
    assert member.keys() == asdict(MemberReport("n", "v", "ok")).keys()
    assert described["status"]["enum"] == list(get_args(Status))
    assert described["error"]["properties"]["type"]["enum"] == list(get_args(ErrorType))
    statuses = [status for status in get_args(MemberStatus) if can_skip or status != "skipped"]
    assert member["status"]["enum"] == statuses


COMMON = {
    "id": ANY | st.just("a" * 256) | st.just("a" * 257),
    "ensemble": ANY | st.sampled_from(["sentiment", "../x", "Upper", "a" * 65]),
    "deadline_ms": ANY | st.sampled_from([0, 1, 604_800_000, 604_800_001, 1.5]),
    "metadata": ANY,
}


@cache
def requests_like(task: str) -> st.SearchStrategy[Any]:
    """Requests of a task: most of them right but for one thing or another, some quite wrong."""
    kind, described = task_named(task), request_schema(task)["$defs"]["params"]
    inputs = fields_near(kind.inputs.model_json_schema())
    params = fields_near(described, kind.params.model_json_schema())
    near = st.fixed_dictionaries({}, optional=params)
    wild = st.fixed_dictionaries({}, optional=dict.fromkeys((*params, "unknown"), ANY))
    common = st.sampled_from(sorted(COMMON)).flatmap(
        lambda name: st.fixed_dictionaries({**inputs, name: COMMON[name]})
    )
    return st.one_of(
        st.fixed_dictionaries({**inputs, "params": near}),
        st.fixed_dictionaries({**inputs, "params": near}),
        st.fixed_dictionaries({**inputs, "params": ANY | wild}),
        common,
        st.fixed_dictionaries({}, optional={**COMMON, **dict.fromkeys(inputs, ANY)}),
    )


@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=500)
@given(data=st.data())
def test_the_schema_accepts_exactly_the_requests_that_the_code_accepts(
    task: str, data: st.DataObject
) -> None:
    body = data.draw(requests_like(task))
    assert validator(task).is_valid(body) == is_accepted(task, body)
