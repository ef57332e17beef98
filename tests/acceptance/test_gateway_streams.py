"""Texts while they are written, over HTTP: by events of our own, and as clients read them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import TextGenerationError

from streamproc.client import Answer, AsyncClient, Client, OverHttp, OverKafka, TextPart
from streamproc.client.connections import Connection
from streamproc.errors import RequestRefused, ServiceUnavailable
from tests.support.small_ensembles import SMALL
from tests.support.ways_in import WaysIn

pytestmark = pytest.mark.kafka
TEXT = "Ada wrote to Paris about a lovely film. Nobody in London had seen it.\n\nNobody!"
LONG = {"max_new_tokens": 40, "min_new_tokens": 40}
EVENTS = {"Accept": "text/event-stream"}


def over_http(ways_in: WaysIn) -> Connection:
    return OverHttp(ways_in.address)


def over_kafka(ways_in: WaysIn) -> Connection:
    return OverKafka(ways_in.settings)


@pytest.mark.parametrize("connection", [over_http, over_kafka])
@pytest.mark.parametrize(
    ("task", "params"),
    [
        ("text-generation", LONG),
        ("text-generation", {**LONG, "return_full_text": True, "seed": 3, "do_sample": True}),
        ("translation", {}),
        ("translation", {"num_beams": 2}),
        ("summarization", {}),
    ],
)
def test_parts_are_the_text_that_is_answered_without_them(
    ways_in: WaysIn,
    connection: Callable[[WaysIn], Connection],
    task: str,
    params: dict[str, Any],
) -> None:
    with Client(task, connection(ways_in)) as client:
        whole = client.ask(TEXT, **params)
        *parts, answer = client.stream(TEXT, **params)

    assert isinstance(answer, Answer)
    assert answer.result == whole.result
    assert all(isinstance(part, TextPart) and not part.replaces for part in parts)
    text = next(value for name, value in whole.result.items() if name.endswith("_text"))
    assert "".join(part.text for part in parts if isinstance(part, TextPart)) == text
    if task == "text-generation":
        assert len(parts) > 1


@pytest.mark.parametrize("connection", [over_http, over_kafka])
def test_many_are_asked_at_once_and_each_has_its_own_outcome(
    ways_in: WaysIn, connection: Callable[[WaysIn], Connection]
) -> None:
    texts = [f"a film, number {number}" for number in range(40)]
    with Client("text-classification", connection(ways_in)) as client:
        alone = [client.ask(text).result for text in texts[:3]]
        *outcomes, bad, last = client.ask_many([*texts, {"text": 7}, texts[0]], concurrency=8)

    assert [one.result for one in outcomes[:3] if isinstance(one, Answer)] == alone
    assert isinstance(bad, RequestRefused)
    assert "text: Input should be a string" in bad.detail
    assert isinstance(last, Answer)
    assert last.result == alone[0]


def events_of(body: str) -> list[tuple[str, Any]]:
    found = []
    for block in body.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((fields["event"], json.loads(fields["data"])))
    return found


def test_our_own_events_are_parts_and_one_response(ways_in: WaysIn) -> None:
    body = {"id": "mine", "text": TEXT, "params": LONG, "metadata": {"a": 1.10}}
    answer = httpx.post(
        f"{ways_in.address}/v1/text-generation", json=body, headers=EVENTS, timeout=60
    )

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    *parts, (name, response) = events_of(answer.text)
    assert {part for part, _ in parts} == {"part"}
    assert (name, response["id"], response["metadata"]) == ("response", "mine", {"a": 1.1})
    text = "".join(part["text"] for _, part in parts)
    assert text == response["result"]["generated_text"]


@pytest.mark.parametrize(
    ("task", "body", "status"),
    [
        ("text-generation", b'{"text": 7}', 422),
        ("text-generation", b'{"text": "x", "params": 7}', 422),
        ("text-generation", b"{no", 400),
        ("text-generation", b'[{"text": "x"}]', 422),
    ],
)
def test_what_is_wrong_from_the_start_is_a_problem_and_no_stream(
    ways_in: WaysIn, task: str, body: bytes, status: int
) -> None:
    answer = httpx.post(f"{ways_in.address}/v1/{task}", content=body, headers=EVENTS, timeout=60)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_task_that_writes_nothing_has_only_its_response(ways_in: WaysIn) -> None:
    answer = httpx.post(
        f"{ways_in.address}/v1/text-classification",
        json={"text": TEXT},
        headers=EVENTS,
        timeout=60,
    )

    ((name, response),) = events_of(answer.text)
    assert (name, response["status"]) == ("response", "ok")


async def test_who_leaves_is_asked_for_no_longer(ways_in: WaysIn) -> None:
    async with AsyncClient("text-generation", over_http(ways_in)) as client:
        stream = client.stream(TEXT, **LONG)
        assert isinstance(await anext(stream), TextPart)
        await stream.aclose()

    async with httpx.AsyncClient(base_url=ways_in.address) as http, asyncio.timeout(30):
        while "streamproc_gateway_in_flight 0.0" not in (await http.get("/metrics")).text:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@pytest.fixture
def open_ai(ways_in: WaysIn) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{ways_in.address}/v1", api_key="none", max_retries=0, timeout=60
    ) as client:
        yield client


def test_open_ai_reads_a_completion_while_it_is_written(
    ways_in: WaysIn, open_ai: openai.OpenAI
) -> None:
    asked = {"model": SMALL["text-generation"], "prompt": "abc", "max_tokens": 30}
    whole = open_ai.completions.create(**asked, temperature=0)  # type: ignore[call-overload]

    *chunks, last = open_ai.completions.create(**asked, temperature=0, stream=True)  # type: ignore[call-overload]

    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
    assert {chunk.choices[0].finish_reason for chunk in chunks} == {None}
    assert last.choices[0].finish_reason == whole.choices[0].finish_reason
    assert len({chunk.id for chunk in (*chunks, last)}) == 1

    *_, counted = open_ai.completions.create(  # type: ignore[call-overload]
        **asked, temperature=0, stream=True, stream_options={"include_usage": True}
    )
    assert counted.choices == []
    assert counted.usage == whole.usage


def test_open_ai_is_told_what_is_wrong_with_a_stream(open_ai: openai.OpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="one prompt"):
        open_ai.completions.create(model="generation", prompt=["a", "b"], stream=True)
    with pytest.raises(openai.UnprocessableEntityError, match="top_p"):
        open_ai.completions.create(model="generation", prompt="a", top_p=3.0, stream=True)
    with pytest.raises(openai.UnprocessableEntityError, match="stream_options"):
        open_ai.completions.create(
            model="generation", prompt="a", stream_options={"include_usage": True}
        )


def test_hugging_face_reads_a_text_while_it_is_written(ways_in: WaysIn) -> None:
    client = InferenceClient(model=f"{ways_in.address}/models/generation", timeout=60)
    whole = client.text_generation("abc", max_new_tokens=30, do_sample=False)

    parts = list(client.text_generation("abc", max_new_tokens=30, do_sample=False, stream=True))

    assert len(parts) > 1
    assert "".join(parts) == whole


def test_hugging_face_is_told_what_is_wrong_with_a_stream(ways_in: WaysIn) -> None:
    client = InferenceClient(model=f"{ways_in.address}/models/generation", timeout=60)
    with pytest.raises(TextGenerationError, match="top_p"):
        list(client.text_generation("abc", top_p=3.0, do_sample=True, stream=True))


def test_where_no_gateway_is_the_client_says_so() -> None:
    with (
        Client("translation", OverHttp("http://127.0.0.1:9", timeout_s=5)) as client,
        pytest.raises(ServiceUnavailable, match="streamproc gateway"),
    ):
        client.ask("x")
