"""What looks like a mistake in a request that can be answered is told in its response."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from streamproc.settings import read_settings
from tests.support.answering import answer_to, body_of


@pytest.mark.parametrize(
    ("fields", "warning"),
    [
        ({"parms": {}}, "field 'parms' is unknown and was ignored; did you mean 'params'?"),
        ({"deadlineMs": 5}, "field 'deadlineMs' is unknown and was ignored; did you mean"),
        ({"ID": "r"}, "field 'ID' is unknown and was ignored; did you mean 'id'?"),
        ({"top_k": 1}, "field 'top_k' was ignored: it is a parameter, and belongs in 'params'"),
    ],
    ids=lambda case: str(case)[:24],
)
async def test_a_field_that_looks_like_a_mistake_is_warned_of(
    fields: dict[str, Any], warning: str
) -> None:
    response = body_of(await answer_to({"text": "x", **fields}))

    assert response["status"] == "ok"
    assert len(response["warnings"]) == 1
    assert response["warnings"][0].startswith(warning)


@pytest.mark.parametrize("text", ["", " ", "\n\t\u00a0"], ids=["empty", "blank", "no spaces alone"])
async def test_a_text_without_a_word_is_answered_and_warned_of(text: str) -> None:
    response = body_of(await answer_to({"text": text}))

    assert response["status"] == "ok"
    assert response["warnings"] == ["field 'text' is blank"]


async def test_a_request_that_is_refused_is_warned_of_its_misspelt_field() -> None:
    response = body_of(await answer_to({"texxt": "x"}))

    assert response["error"]["detail"] == "text: Field required"
    assert response["warnings"] == [
        "field 'texxt' is unknown and was ignored; did you mean 'text'?"
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"customer_id": 5, "lang": "en", "data": {}, "created_at": "x", "uid": 1, "x" * 9000: 1},
        {"params": {}, "parms": {}},
        {f"field_{number}": number for number in range(5_000)},
    ],
    ids=["of another system", "known is there", "many"],
)
async def test_what_a_sender_has_beside_its_request_is_no_mistake(fields: dict[str, Any]) -> None:
    response = body_of(await answer_to({"text": "x", **fields}))

    assert "warnings" not in response


async def test_a_response_with_everything_fits_its_schema() -> None:
    response = body_of(await answer_to({"text": "x", "parms": {}, "metadata": None}))

    schema = read_settings().topics_dir / "schemas" / "text-classification.response.v1.json"
    Draft202012Validator(orjson.loads(schema.read_bytes())).validate(response)
    assert response["metadata"] is None
