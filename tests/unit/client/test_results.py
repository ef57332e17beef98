"""The types of results are those that response schemas describe."""

from __future__ import annotations

from typing import Any

import pytest

from streamproc.client import (
    ClassificationResult,
    EntitiesResult,
    GenerationResult,
    QuestionAnsweringResult,
    SummaryResult,
    TranslationResult,
)
from streamproc.client.results import (
    Entity,
    FoundAnswer,
    NextToken,
    NumberResult,
    Span,
    SummaryChunk,
)
from streamproc.messages.response_types import ListOf, MapOf, RecordOf, fields_of


def names(fields: Any) -> Any:
    """The fields of the records in a described type."""
    if isinstance(fields, ListOf):
        return names(fields.items)
    if isinstance(fields, MapOf):
        return names(fields.values)
    return fields.fields.keys() if isinstance(fields, RecordOf) else None


@pytest.mark.parametrize(
    ("task", "result", "inner"),
    [
        ("text-classification", ClassificationResult, {"values": NumberResult}),
        ("token-classification", EntitiesResult, {"entities": Entity}),
        ("question-answering", QuestionAnsweringResult, {"answers": FoundAnswer}),
        ("translation", TranslationResult, {"unfinished": Span}),
        ("summarization", SummaryResult, {"chunks": SummaryChunk}),
        ("text-generation", GenerationResult, {"next_tokens": NextToken}),
    ],
)
def test_a_result_has_the_fields_that_its_schema_has(
    task: str, result: Any, inner: dict[str, Any]
) -> None:
    described = fields_of(task, "result")
    assert described.keys() == result.__annotations__.keys()
    for name, fields in described.items():
        if (found := names(fields)) is not None:
            assert found == inner[name].__annotations__.keys()
