"""Server-sent events of a text, from replies that a test writes down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from structlog.testing import capture_logs

from streamproc.clock import SystemClock
from streamproc.kafka.reply_client import Reply, ReplyClient
from streamproc.kafka.topics import load_topics
from streamproc.messages.lane import Lane
from streamproc.messages.part_reader import TextPart
from streamproc.messages.record import Headers
from streamproc.messages.streaming_request import with_parts
from streamproc.settings import Settings
from streamproc.settings.gateway import GatewaySettings
from streamproc.web.gateway.asking import Asker
from streamproc.web.gateway.completions_api import CompletionEvents
from streamproc.web.gateway.event_streams import EventShape, OwnEvents, events
from streamproc.web.gateway.hugging_face import TokenEvents
from streamproc.web.gateway.problems import GatewayProblem
from tests.support.gateway_app import LocalReplies, asking, gateway_app

TOPIC = load_topics(Settings().topics_dir).request_topic("text-generation", Lane.INTERACTIVE)
OK = {
    "id": "i",
    "task": "text-generation",
    "status": "ok",
    "result": {"generated_text": "abc", "finish_reason": "length"},
}
LATE = {
    "id": "i",
    "task": "text-generation",
    "status": "error",
    "error": {"type": "deadline", "title": "deadline passed", "detail": "too late"},
}
SHAPES: tuple[EventShape, ...] = (
    OwnEvents(),
    CompletionEvents("generation", 0, "/v1/completions"),
    TokenEvents("/models/generation"),
)


def part(sequence: int, text: str, attempt: str = "a") -> Reply:
    value = {"id": "i", "attempt": attempt, "sequence": sequence, "text": text}
    return Reply(orjson.dumps(value), (("streamproc-part", str(sequence).encode()),))


def response(body: dict[str, Any]) -> Reply:
    return Reply(orjson.dumps(body), ())


class Replying:
    """Has of a ReplyClient what an Asker needs; gives the replies, and then waits for ever.

    asked: the values of requests; closed: how many streams were
    """

    def __init__(self, *replies: Reply) -> None:
        self._replies: Sequence[Reply] = replies
        self.asked: list[Any] = []
        self.closed = 0

    def trouble_of(self, topic: str) -> None:
        return None

    def not_ready(self) -> tuple[str, ...]:
        return ()

    async def stream(
        self, topic: str, value: bytes, *, key: bytes, headers: Headers
    ) -> AsyncGenerator[Reply, None]:
        self.asked.append(orjson.loads(value))
        try:
            for reply in self._replies:
                yield reply
            await asyncio.Event().wait()
        finally:
            self.closed += 1


def streamed(client: Replying, wait_s: float = 30.0) -> AsyncGenerator[TextPart | bytes, None]:
    asker = Asker(cast(ReplyClient, client), GatewaySettings(), SystemClock())
    return asker.stream(TOPIC, b'{"text": "x"}', wait_s=wait_s)


async def said(client: Replying, shape: EventShape, wait_s: float = 30.0) -> list[tuple[str, Any]]:
    """The events, each by its name with its data."""
    items = streamed(client, wait_s)
    body = b"".join([one async for one in events(await anext(items), items, shape)]).decode()
    found = []
    for block in body.removesuffix("\n\n").split("\n\n"):
        *name, data = block.splitlines()
        value = data.removeprefix("data: ")
        found.append(("".join(name), value if value == "[DONE]" else orjson.loads(value)))
    return found


async def test_parts_are_told_and_then_the_response() -> None:
    client = Replying(part(0, "a"), part(1, "bc"), response(OK))

    assert await said(client, OwnEvents()) == [
        ("event: part", {"text": "a"}),
        ("event: part", {"text": "bc"}),
        ("event: response", OK),
    ]
    assert client.asked[0]["params"] == {"stream": True}
    assert client.closed == 1


async def test_open_ai_is_told_last_what_was_read_and_written_where_it_asks() -> None:
    shape = CompletionEvents("generation", 0, "/v1/completions", with_usage=True)
    counted = OK | {"usage": {"prompt_tokens": 5, "completion_tokens": 3}}

    *texts, usage, done = [
        one for _, one in await said(Replying(part(0, "a"), response(counted)), shape)
    ]
    *_, of_old, _ = [one for _, one in await said(Replying(part(0, "a"), response(OK)), shape)]

    assert [one["choices"][0]["text"] for one in texts] == ["a", "bc", ""]
    assert {one["usage"] for one in texts} == {None}
    assert usage["choices"] == []
    assert usage["usage"] == {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    assert done == "[DONE]"
    # A worker of an older version counts none.
    assert of_old["usage"] is None


async def test_what_parts_left_out_comes_before_the_response() -> None:
    client = Replying(part(0, "a"), part(2, "c"), response(OK))

    assert [one for _, one in await said(client, OwnEvents())] == [
        {"text": "a"},
        {"text": "bc"},
        OK,
    ]


async def test_an_attempt_that_went_another_way_is_told_to_who_can_be_told() -> None:
    replies = (part(0, "x"), part(0, "a", "b"), response(OK))

    assert (await said(Replying(*replies), OwnEvents()))[1] == (
        "event: part",
        {"text": "abc", "replaces": True},
    )
    for shape in SHAPES[1:]:
        assert "error" in (await said(Replying(*replies), shape))[-1][1]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
async def test_an_error_behind_parts_is_the_last_event(shape: EventShape) -> None:
    *parts, (name, error) = await said(Replying(part(0, "a"), response(LATE)), shape)

    assert len(parts) == 1
    if isinstance(shape, OwnEvents):
        assert (name, error["type"]) == ("event: error", "urn:streamproc:problem:deadline")
        assert error["response"] == LATE
    else:
        assert "too late" in str(error["error"])


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
async def test_a_stream_that_stops_ends_with_an_error_in_time(shape: EventShape) -> None:
    client = Replying(part(0, "a"))

    # Longer than a busy machine takes to the first part.
    *_, (_, error) = await said(client, shape, wait_s=1.0)

    assert "timed-out" in str(error) or "others were answered" in str(error)
    assert client.closed == 1


async def test_what_fails_before_the_first_part_is_raised() -> None:
    with pytest.raises(GatewayProblem, match="too late"):
        await anext(streamed(Replying(response(LATE))))
    with pytest.raises(GatewayProblem, match="nothing was answered"):
        await anext(streamed(Replying(), wait_s=0.05))


async def test_who_leaves_ends_the_stream() -> None:
    client = Replying(part(0, "a"), part(1, "b"))
    items = streamed(client)
    telling = events(await anext(items), items, OwnEvents())
    assert b'"a"' in await anext(telling)

    await telling.aclose()

    assert client.closed == 1


async def test_who_takes_no_parts_holds_a_place_no_longer_than_it_may_wait() -> None:
    client = Replying(*(part(number, "a") for number in range(50)))
    settings = GatewaySettings(max_in_flight=1)
    asker = Asker(cast(ReplyClient, client), settings, SystemClock())
    items = asker.stream(TOPIC, b'{"text": "x"}', wait_s=0.2)
    assert await anext(items) == TextPart("a")

    async with asyncio.timeout(60):
        while asker.in_flight:  # noqa: ASYNC110 - nobody is told of it
            await asyncio.sleep(0.01)

    assert client.closed == 1
    another = asker.stream(TOPIC, b'{"text": "y"}', wait_s=30)
    assert await anext(another) == TextPart("a")
    with pytest.raises(GatewayProblem, match="timed-out"):
        await anext(items)
    held = asker.in_flight
    await another.aclose()
    assert (held, asker.in_flight) == (1, 0)


async def test_who_leaves_before_the_first_part_is_one_who_left(
    models: Path, replies: LocalReplies
) -> None:
    replies.hold = asyncio.Event()
    app = gateway_app(models, replies)
    messages = [{"type": "http.request", "body": b'{"text": "good"}', "more_body": False}]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await replies.were_asked(1)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    path = "/v1/text-classification"
    headers = [(b"host", b"127.0.0.1"), (b"accept", b"text/event-stream")]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b""}
    async with asking(app) as client:
        with capture_logs() as logs:
            await app({**scope, "headers": headers}, receive, send)
        metrics = (await client.get("/metrics")).text

    assert sent[0]["status"] == 499
    assert not [one for one in logs if one["log_level"] == "error"]
    assert 'status="499"' in metrics
    assert "streamproc_gateway_in_flight 0.0" in metrics


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('{"text": "x"}', '{"text": "x","params":{"stream":true}}'),
        ('{"params": {"seed":  1}}', '{"params": {"seed":  1,"stream":true}}'),
        ('{"params": {"stream": false}}', '{"params": {"stream": true}}'),
        ('{"params": null}', '{"params": {"stream":true}}'),
        ('{"params": 7}', '{"params": 7}'),
        (
            '{"specversion": "1.0", "data": {"text": "x"}}',
            '{"specversion": "1.0", "data": {"text": "x","params":{"stream":true}}}',
        ),
        ('{"specversion": "1.0", "data": 7}', '{"specversion": "1.0", "data": 7}'),
    ],
)
def test_a_request_is_made_to_ask_for_parts(value: str, expected: str) -> None:
    assert with_parts(value.encode()).decode() == expected
