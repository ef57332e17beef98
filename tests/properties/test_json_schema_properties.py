"""Events with answers are valid by the schema with answers, whatever objects there are."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from streamproc.enrichment.json_event import JsonEvent
from streamproc.enrichment.json_pointer import Path
from streamproc.enrichment.registry.json_schema import with_answers
from streamproc.messages.response_types import AnswerType, ListOf, RecordOf

PLACED: dict[Path, AnswerType] = {
    ("nlp", "mood"): RecordOf({"label": "string", "score": "number"}, is_there=True),
    ("nlp", "found"): ListOf("string"),
    ("a", "de"): "string",
}
VALUES: dict[Path, Any] = {
    ("nlp", "mood"): {"label": "good", "score": None},
    ("nlp", "found"): ["x"],
    ("a", "de"): "y",
}
NAMES = st.sampled_from(["a", "b", "nlp", "é"])


@st.composite
def objects(draw: st.DrawFn, depth: int = 3) -> tuple[dict[str, Any], dict[str, Any]]:
    """A schema of an object, open or closed, and one that is valid by it."""
    properties: dict[str, Any] = {}
    value: dict[str, Any] = {}
    for name in draw(st.lists(NAMES, max_size=3, unique=True)):
        if depth and draw(st.booleans()):
            properties[name], value[name] = draw(objects(depth - 1))
        elif name not in ("a", "nlp"):
            properties[name], value[name] = {"type": "integer"}, draw(st.integers(0, 9))
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if draw(st.booleans()):
        schema["additionalProperties"] = False
    elif draw(st.booleans()):
        schema["additionalProperties"] = {"type": "integer"}
    return schema, value


@given(objects())
def test_an_event_with_answers_is_valid_by_the_schema_with_answers(
    described: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    schema, value = described
    jsonschema.validate(value, schema)

    after = json.loads(with_answers(json.dumps(schema), PLACED))
    put = {path: json.dumps(one).encode() for path, one in VALUES.items()}
    event = json.loads(JsonEvent(json.dumps(value).encode()).with_values(put))

    jsonschema.validate(event, after)
    jsonschema.validate(value, after)
