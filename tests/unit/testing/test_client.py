"""The client for users' own tests is as strict as a worker, and says what the test says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema
import orjson
import pytest

from streamproc import Settings
from streamproc.clock import SystemClock
from streamproc.errors import OperatorError, TooLarge
from streamproc.testing import MemoryBroker, ScriptedClient, build_pipeline
from streamproc.worker.local_client import LocalClient


def good(_: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"label": "positive", "score": 0.9, "scores": {"positive": 0.9, "negative": 0.1}}


async def test_the_result_is_the_scripted_one_in_a_response_as_the_schema_has_it() -> None:
    client = ScriptedClient(good)

    response = await client.ask({"id": "a", "text": "fine", "metadata": [1]})

    schemas = Settings().topics_dir / "schemas"
    schema = orjson.loads((schemas / "text-classification.response.v1.json").read_bytes())
    jsonschema.validate(response, schema)
    assert (response["id"], response["result"], response["metadata"]) == ("a", good({}), [1])
    assert client.asked == [{"id": "a", "text": "fine", "metadata": [1]}]


@pytest.mark.parametrize(
    "request_",
    [
        {"id": "a"},
        {"id": "a", "text": 7},
        {"id": "a", "text": "x", "params": {"topk": 1}},
        {"id": "a", "text": "x", "deadline_ms": 0},
    ],
)
async def test_a_wrong_request_gets_the_error_that_a_worker_gives(
    request_: dict[str, Any],
) -> None:
    worker = LocalClient(build_pipeline(MemoryBroker()), SystemClock())

    response = await ScriptedClient(good).ask(request_)

    assert response["error"] == (await worker.ask(request_))["error"]


async def test_a_script_can_refuse_and_can_break() -> None:
    def refuse(_: Mapping[str, Any]) -> Mapping[str, Any]:
        raise TooLarge("request too large", "1048577 bytes")

    def break_down(_: Mapping[str, Any]) -> Mapping[str, Any]:
        raise OperatorError("no worker answers")

    response = await ScriptedClient(refuse).ask({"text": "x"})
    assert response["error"]["title"] == "request too large"
    with pytest.raises(OperatorError, match="no worker answers"):
        await ScriptedClient(break_down).ask({"text": "x"})
