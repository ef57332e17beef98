"""What type checkers know of the public API: checked by mypy, never run.

A line that must be wrong has an ignore, and an ignore that is not needed is an error itself.
"""

from __future__ import annotations

from typing import Any, Literal, assert_type

import streamproc
from streamproc import Client, LocalClient, RequestClient, ResponseBody, Settings
from streamproc.client import Answer, GenerationResult, TextPart, TranslationResult
from streamproc.errors import RequestError
from streamproc.testing import ScriptedClient


async def check_clients_are_alike(settings: Settings) -> None:
    over_kafka = RequestClient.of_task(settings, "translation", streamproc.Lane.BULK)
    async with over_kafka as remote, LocalClient.of_task(settings, ensemble="tone") as local:
        assert_type(remote, RequestClient)
        assert_type(local, LocalClient)
        assert_type(await remote.ask({"text": "x"}), ResponseBody)
        assert_type(await local.ask({"text": "x"}, key=b"k"), ResponseBody)
        clients: list[Client] = [remote, local, ScriptedClient(lambda _: {"label": "good"})]
        for client in clients:
            assert_type(await client.ask({"text": "x"}, headers=(("h", None),)), ResponseBody)


async def check_what_a_response_holds(client: Client) -> None:
    response = await client.ask({"text": "x"})
    assert_type(response["id"], str)
    assert_type(response["status"], Literal["ok", "partial", "error"])
    assert_type(response["result"], dict[str, Any])
    assert_type(response["error"]["detail"], str)
    assert_type(response["members"][0]["status"], Literal["ok", "late", "failed", "skipped"])
    response["answer"]  # type: ignore[typeddict-item]
    response["status"] == "failed"  # type: ignore[comparison-overlap]


async def check_misuse_is_noticed(settings: Settings, client: Client) -> None:
    await client.ask("a text")  # type: ignore[arg-type]
    await client.ask({"text": "x"}, key="shop-1")  # type: ignore[arg-type]
    RequestClient.of_task(settings, "translation", "bulk")  # type: ignore[arg-type]
    RequestClient.of_task("127.0.0.1:9092")  # type: ignore[arg-type]
    LocalClient.of_task(settings, lane=streamproc.Lane.BULK)  # type: ignore[call-arg]
    async with LocalClient(settings):  # type: ignore[arg-type, call-arg, attr-defined]
        pass


async def check_answers_have_the_type_of_their_task() -> None:
    connection = streamproc.client.OverHttp("http://127.0.0.1:8080")
    with streamproc.client.Client("translation", connection) as client:
        assert_type(client, streamproc.client.Client[TranslationResult])
        assert_type(client.ask("x", num_beams=2).result["translation_text"], str)
        client.ask("x").result["generated_text"]  # type: ignore[typeddict-item]
        for outcome in client.ask_many(["x", {"text": "y"}]):
            assert_type(outcome, Answer[TranslationResult] | RequestError)
    over_kafka = streamproc.client.OverKafka(lane=streamproc.Lane.BULK)
    async with streamproc.client.AsyncClient("text-generation", over_kafka) as writer:
        async for part in writer.stream("x"):
            assert_type(part, TextPart | Answer[GenerationResult])
    streamproc.client.Client("translation", "http://x")  # type: ignore[call-overload]


def check_names() -> None:
    assert_type(streamproc.__version__, str)
    assert_type(streamproc.Settings(threads=2), Settings)
    streamproc.errors.OperatorError("x")
    streamproc.Pipeline  # type: ignore[attr-defined]
