"""Errors are written for people who know JSON, whatever they send to whichever task."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import streamproc
from streamproc.did_you_mean import closest
from streamproc.errors import Invalid
from streamproc.messages.request import InvalidRequest, RequestFields, read_request
from streamproc.messages.validation import describe
from streamproc.serving.tasks.catalogue import TASKS, task_named
from streamproc.serving.tasks.task import validated
from streamproc.testing import build_record

OF_EVERY_KIND: tuple[Any, ...] = (
    *(None, True, 1, 1.5, -1, 1e308, 10**30, "", "x", [], {}, [None], [1], [["a"]], [{"a": 1}]),
    *({"a": 1}, "x" * 10_000, ["x"] * 2_000),
)
PYTHON = re.compile(
    r"\b(tuple|list|dict|dictionary|None|NoneType|True|False|str|int|bool|valid|instance|Value)\b"
)


@pytest.mark.parametrize("task", TASKS)
def test_no_error_of_any_field_or_parameter_speaks_of_pythons_types(task: str) -> None:
    kind = task_named(task)
    told = set()
    for model in (RequestFields, kind.inputs, kind.params):
        for name in (*model.model_fields, "unknown"):
            for value in OF_EVERY_KIND:
                try:
                    model.model_validate({name: value})
                except ValidationError as error:
                    told.add(describe(error, model=model))

    assert len(told) > 10
    assert {sentence for sentence in told if PYTHON.search(sentence)} == set()


@pytest.mark.parametrize(
    ("value", "kind"),
    [(b"[]", "array"), (b'"a"', "string"), (b"1", "number"), (b"1.5", "number"),
     (b"true", "boolean"), (b"null", "null")],
)  # fmt: skip
def test_what_is_no_object_is_called_what_json_calls_it(value: bytes, kind: str) -> None:
    refused = read_request(build_record(value), 1_000)

    assert isinstance(refused, InvalidRequest)
    assert refused.reason.detail == f"the record holds a JSON {kind}; send a JSON object"


def test_stop_strings_that_are_a_string_are_told_to_be_an_array() -> None:
    with pytest.raises(Invalid, match=r"params\.stop: Input should be an array$"):
        validated(task_named("text-generation").params, {"stop": "x"}, "params")


def test_an_unknown_parameter_is_told_which_there_are() -> None:
    params = task_named("text-classification").params
    with pytest.raises(Invalid, match=r"params\.topk: unknown; did you mean 'top_k'\? There are: "):
        validated(params, {"topk": 1}, "params")
    with pytest.raises(Invalid, match=r"params\.beams: unknown; there are: .*top_k"):
        validated(params, {"beams": 1}, "params")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("parms", "params"), ("deadline", "deadline_ms"), ("meta-data", "metadata"), ("ID", "id"),
        ("ids", None), ("uid", None), ("customer", None), ("", None), ("x" * 65, None),
    ],
)  # fmt: skip
def test_a_name_is_taken_for_another_only_where_it_is_nearly_the_same(
    name: str, meant: str | None
) -> None:
    assert closest(name, RequestFields.model_fields) == meant


def test_what_pydantic_found_is_put_into_words_in_one_place() -> None:
    # Settings are texts, and their errors speak of texts.
    package = Path(streamproc.__file__).parent
    wording = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if re.search(r"""\[["']msg["']\]""", path.read_text("utf-8"))
    }

    assert wording == {"messages/validation.py", "settings/reading.py"}
