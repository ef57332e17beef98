"""Callers leave while no worker runs, and the worker that comes does not work for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest

from streamproc.client import AsyncClient, OverKafka
from streamproc.kafka.topic_reader import read_topic
from tests.support.command import streamproc
from tests.support.task_topics import topics_of
from tests.support.ways_in import WaysIn, ways_into

pytestmark = pytest.mark.kafka
TASK = "text-generation"


@pytest.fixture(scope="module")
def ways_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WaysIn]:
    """A worker of this test's own, as it is stopped."""
    with ways_into(tmp_path_factory.mktemp("taken-back")) as opened:
        yield opened


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(90):
        while not await holds():  # noqa: ASYNC110 - other processes
            await asyncio.sleep(0.2)


async def records(ways_in: WaysIn, topic: str) -> list[Any]:
    """The values of all records of a topic."""
    return [
        orjson.loads(record.value or b"null")
        async for record in read_topic(ways_in.settings, topic)
    ]


async def there_are(ways_in: WaysIn, topic: str, count: int) -> None:
    async def enough() -> bool:
        return len(await records(ways_in, topic)) >= count

    await until(enough)


@asynccontextmanager
async def calls(ways_in: WaysIn) -> AsyncIterator[Callable[[str], asyncio.Task[httpx.Response]]]:
    """What begins to ask the gateway."""
    async with httpx.AsyncClient(base_url=ways_in.address, timeout=120) as http:

        def call(name: str) -> asyncio.Task[httpx.Response]:
            headers = {"Prefer": "wait=100"}
            body = {"id": name, "text": name}
            return asyncio.create_task(http.post(f"/v1/{TASK}", json=body, headers=headers))

        yield call


async def test_a_worker_that_comes_for_a_backlog_works_only_for_those_who_wait(
    ways_in: WaysIn,
) -> None:
    assert await ways_in.worker.terminate() == 0
    async with calls(ways_in) as call, AsyncClient(TASK, OverKafka(ways_in.settings)) as client:
        staying = [call(name) for name in ("one", "two")]
        leaving = [call(name) for name in ("three", "four", "five")]
        leaving_kafka = asyncio.create_task(client.ask("six"))
        await there_are(ways_in, topics_of(TASK).requests, 6)
        for task in (*leaving, leaving_kafka):
            task.cancel()
        await there_are(ways_in, "nlp.cancels.v1", 4)

        ways_in.worker.start()
        answers = await asyncio.gather(*staying)
        await there_are(ways_in, "nlp.replies.v1", 6)

    assert [answer.json()["id"] for answer in answers] == ["one", "two"]
    found = await records(ways_in, "nlp.replies.v1")
    assert len({one["id"] for one in found}) == len(found) == 6
    gone = [one["error"] for one in found if one["status"] == "error"]
    assert [error["type"] for error in gone] == ["cancelled"] * 4
    assert all("before it was begun" in error["detail"] for error in gone)
    assert await records(ways_in, topics_of(TASK).dead_letters) == []

    shown: dict[str, Any] = {}

    async def is_told() -> bool:
        settings = {"KAFKA_BOOTSTRAP_SERVERS": ways_in.kafka, "GROUP_ID": ways_in.worker.group}
        done = await asyncio.to_thread(streamproc, "status", "--json", settings=settings)
        assert done.returncode == 0, done.stderr
        shown.update(json.loads(done.stdout))
        return any(row["cancelled"] for row in shown["sources"])

    await until(is_told)
    (row,) = (row for row in shown["sources"] if row["cancelled"])
    assert (row["task"], row["cancelled"], row["errors"]) == (TASK, 4, {})
    assert not shown["strip"]["error_share"]
