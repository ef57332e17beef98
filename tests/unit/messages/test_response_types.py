"""The types that are read from the JSON Schemas of responses."""

from __future__ import annotations

from typing import Any

import pytest

from streamproc.messages.response_types import (
    AnswerType,
    ListOf,
    MapOf,
    RecordOf,
    fields_of,
    response_fields,
)
from streamproc.serving.tasks.catalogue import TASKS

SPAN: dict[str, AnswerType] = {"start": "integer", "end": "integer"}
ANSWER: dict[str, AnswerType] = {"answer": "string", "score": "number", **SPAN}
NUMBER: dict[str, AnswerType] = {"value": "number", "spread": "number"}
WORD: dict[str, AnswerType] = {"score": "number", "word": "string", **SPAN}
ENTITY: dict[str, AnswerType] = {"entity_group": "string", **WORD}
TOKEN: dict[str, AnswerType] = {"entity": "string", "index": "integer", **WORD}
RESULTS: dict[str, dict[str, Any]] = {
    "question-answering": {**ANSWER, "answers": ListOf(RecordOf(ANSWER))},
    "summarization": {
        "summary_text": "string",
        "finish_reason": "string",
        "chunks": ListOf(RecordOf({**SPAN, "finish_reason": "string"})),
    },
    "text-classification": {
        "label": "string",
        "score": "number",
        "labels": ListOf("string"),
        "scores": MapOf("number"),
        **NUMBER,
        "values": MapOf(RecordOf(NUMBER)),
    },
    "text-generation": {
        "generated_text": "string",
        "finish_reason": "string",
        "next_tokens": ListOf(RecordOf({"token": "string", "probability": "number"})),
    },
    "token-classification": {"entities": ListOf(RecordOf(ENTITY | TOKEN))},
    "translation": {
        "translation_text": "string",
        "finish_reason": "string",
        "unfinished": ListOf(RecordOf(SPAN)),
    },
}


@pytest.mark.parametrize("task", TASKS)
def test_a_result_has_the_fields_of_all_kinds_of_it(task: str) -> None:
    assert fields_of(task, "result") == RESULTS[task]
    assert response_fields(task)["result"] == RecordOf(RESULTS[task])


def test_a_part_of_a_result_has_types_of_its_own() -> None:
    assert fields_of("token-classification", "entity") == ENTITY
    assert fields_of("token-classification", "token") == TOKEN


@pytest.mark.parametrize("task", TASKS)
def test_what_all_responses_have_is_the_same_for_every_task(task: str) -> None:
    fields = response_fields(task)

    assert {name: fields[name] for name in ("status", "agreement", "entropy", "metadata")} == {
        "status": "string",
        "agreement": "number",
        "entropy": "number",
        "metadata": "string",
    }
    assert fields["coverage"] == RecordOf(
        {
            "chunks": "integer",
            "characters": "integer",
            "characters_covered": "integer",
            "truncated": "boolean",
        }
    )
