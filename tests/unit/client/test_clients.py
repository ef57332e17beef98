"""Both clients: what they ask, in which order they answer, and what they raise."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from streamproc.client import Answer, AsyncClient, Client, TextPart
from streamproc.errors import RequestError, RequestFailed, RequestRefused
from tests.support.scripted_connection import Scripted, echoed

TEXTS = [f"text {number}" for number in range(20)]


@pytest.fixture
def connection() -> Scripted:
    return Scripted(echoed)


def test_a_text_is_asked_with_params_and_answered(connection: Scripted) -> None:
    with Client("text-generation", connection) as client:
        answer = client.ask("hello", max_new_tokens=3)
        other = client.ask({"text": "x", "ensemble": "e", "params": {"seed": 1}}, top_k=2)

    assert answer.result == {"generated_text": "hello", "finish_reason": "stop"}
    assert (answer.id, answer.status, answer.response["task"]) == ("i", "ok", "text-generation")
    assert other.result["generated_text"] == "x"
    assert connection.asked == [
        {"text": "hello", "params": {"max_new_tokens": 3}},
        {"text": "x", "ensemble": "e", "params": {"seed": 1, "top_k": 2}},
    ]
    assert not connection.is_open


def blocking(connection: Scripted, concurrency: int) -> list[object]:
    with Client("text-generation", connection) as client:
        return list(client.ask_many([*TEXTS, "error: invalid", "y"], concurrency=concurrency))


def looping(connection: Scripted, concurrency: int) -> list[object]:
    async def ask() -> list[object]:
        async with AsyncClient("text-generation", connection) as client:
            asked = client.ask_many([*TEXTS, "error: invalid", "y"], concurrency=concurrency)
            return [outcome async for outcome in asked]

    return asyncio.run(ask())


@pytest.mark.parametrize("ask_many", [blocking, looping])
def test_many_are_answered_in_order_so_many_at_a_time_each_with_its_own_outcome(
    connection: Scripted, ask_many: Callable[[Scripted, int], list[object]]
) -> None:
    *answers, error, last = ask_many(connection, 5)

    texts = [one.result["generated_text"] for one in answers if isinstance(one, Answer)]
    assert texts == TEXTS
    assert isinstance(error, RequestRefused)
    assert isinstance(last, Answer)
    assert connection.most == 5


def test_requests_are_read_as_they_are_needed_and_in_the_callers_thread(
    connection: Scripted,
) -> None:
    read: list[str] = []

    def texts() -> Iterator[str]:
        for text in TEXTS:
            read.append(threading.current_thread().name)
            yield text

    with Client("text-generation", connection) as client:
        outcomes = client.ask_many(texts(), concurrency=4)
        next(outcomes)
        assert set(read) == {threading.current_thread().name}
        assert len(read) == 4


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("invalid", RequestRefused),
        ("unreadable", RequestRefused),
        ("too-large", RequestRefused),
        ("failed", RequestFailed),
        ("deadline", RequestFailed),
    ],
)
def test_a_response_without_an_answer_is_raised_with_what_to_do(
    connection: Scripted, kind: str, error: type[RequestError]
) -> None:
    with Client("text-generation", connection) as client, pytest.raises(error) as raised:
        client.ask(f"error: {kind}")
    assert raised.value.type == kind
    assert str(raised.value).startswith(f"no: text: {kind}")


def test_a_text_comes_in_parts_and_last_the_answer(connection: Scripted) -> None:
    with Client("text-generation", connection) as client:
        *parts, answer = client.stream("abc")

    assert parts == [TextPart("a"), TextPart("b"), TextPart("c")]
    assert isinstance(answer, Answer)
    assert answer.result["generated_text"] == "abc"


async def test_who_leaves_a_stream_ends_it(connection: Scripted) -> None:
    async with AsyncClient("text-generation", connection) as client:
        stream = client.stream("abc")
        assert await anext(stream) == TextPart("a")
        await stream.aclose()
        assert connection.closed_streams == 1


def test_so_does_who_leaves_a_loop(connection: Scripted) -> None:
    with Client("text-generation", connection) as client:
        for part in client.stream("abc"):
            assert part == TextPart("a")
            break
        client.ask("x")  # the stream was closed when nothing referred to it any more
        assert connection.closed_streams == 1


def test_an_error_behind_parts_is_raised_behind_them(connection: Scripted) -> None:
    with Client("text-generation", connection) as client:
        stream = client.stream("error: deadline")
        assert [next(stream), next(stream)] == [TextPart("a"), TextPart("b")]
        with pytest.raises(RequestFailed):
            next(stream)


def test_many_threads_may_ask_one_client(connection: Scripted) -> None:
    found: dict[str, str] = {}

    with Client("text-generation", connection) as client:

        def ask(text: str) -> None:
            found[text] = client.ask(text).result["generated_text"]

        threads = [threading.Thread(target=ask, args=(text,)) for text in TEXTS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert found == {text: text for text in TEXTS}


def test_a_client_that_is_not_open_says_so(connection: Scripted) -> None:
    with pytest.raises(RuntimeError, match="`with` block"):
        Client("text-generation", connection).ask("x")
    with pytest.raises(RuntimeError, match="`with` block"):
        asyncio.run(AsyncClient("text-generation", connection).ask("x"))
