"""Requests are taken back through a real Kafka: by records, by clients, by callers of a gateway."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from streamproc.client import Client, OverKafka
from streamproc.kafka.client import RequestClient
from streamproc.kafka.topic_reader import read_topic
from streamproc.messages.part_reader import TextPart, is_part
from streamproc.messages.record import ProducerRecord
from streamproc.settings.gateway import GatewaySettings
from streamproc.testing import MemoryBroker, build_pipeline, build_record, build_route
from streamproc.web.gateway.app import build_app
from tests.support.gateway_app import listening
from tests.support.written_texts import ENDLESS, SHORT, TASK, WritingPlace, writers

pytestmark = pytest.mark.kafka


@pytest.fixture
async def place(kafka: str, tmp_path: Path) -> WritingPlace:
    made = WritingPlace(kafka, tmp_path)
    await made.make_described()
    return made


def kinds(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    """How each request ended."""
    return {
        name: one["error"]["type"] if one["status"] == "error" else one["status"]
        for name, one in found.items()
    }


async def alone(text: str) -> Any:
    """What comes of a text where nothing is taken back."""
    broker = MemoryBroker()
    pipeline = build_pipeline(broker, writers(), route=build_route(task=TASK))
    await pipeline(build_record({"id": text, "text": text, "params": SHORT}))
    return broker.values("responses")[0]["result"]


async def test_a_text_is_not_written_on_and_its_neighbour_is_as_it_would_have_been(
    place: WritingPlace,
) -> None:
    async with place.writing():
        await place.ask("alpha")
        await place.ask("beta", params=SHORT)
        await place.is_written("alpha", "beta")
        await place.take_back("alpha")
        found = await place.ended(2)
        so_far = len(place.steps)
        await place.ask("gamma", params=SHORT)
        found = await place.ended(3)

    assert kinds(found) == {"alpha": "cancelled", "beta": "ok", "gamma": "ok"}
    assert place.steps_of("alpha") < ENDLESS["max_new_tokens"]
    assert place.steps_of("alpha", since=so_far) == 0
    assert orjson.dumps(found["beta"]["result"]) == orjson.dumps(await alone("beta"))
    assert (place.counted("under-way"), place.counted("before")) == (1, 0)
    assert [one async for one in read_topic(place.settings, place.letters)] == []
    # Its offset is finished, too: nobody answers it again.
    assert sum((await place.committed()).values()) == 3


async def test_what_waits_behind_a_backlog_is_taken_back_before_any_work(
    place: WritingPlace,
) -> None:
    await place.ask("alpha", "beta")
    await place.ask("gamma", params=SHORT)
    # Nobody runs who could hear of it; the worker that comes for the backlog does.
    await place.take_back("alpha", "beta", "unheard-of")

    async with place.writing():
        found = await place.ended(3)

    assert kinds(found) == {"alpha": "cancelled", "beta": "cancelled", "gamma": "ok"}
    assert place.steps_of("alpha") == place.steps_of("beta") == 0
    assert (place.counted("under-way"), place.counted("before")) == (0, 2)


async def test_records_that_take_nothing_back_harm_nobody(place: WritingPlace) -> None:
    hostile = [
        ProducerRecord(place.cancels, key, value)
        for key, value in (
            (None, b"alpha"),
            (b"", None),
            (b"nobody's", b"\xff" * 1_000),
            (b"x" * 60_000, None),
            (b"\x00\xff", orjson.dumps({"id": "alpha"})),
            *((os.urandom(16), None) for _ in range(300)),
        )
    ]
    async with place.writing():
        await place.ask("alpha")
        await place.is_written("alpha")
        await place.store(*hostile)
        so_far = len(place.steps)
        await place.ask("beta", params=SHORT)
        await place.ended(1)
        assert place.steps_of("alpha", since=so_far) > 0
        # A value does not matter, and the second time changes nothing.
        await place.store(*2 * [ProducerRecord(place.cancels, b"alpha", b"{}")])
        found = await place.ended(2)

    assert kinds(found) == {"alpha": "cancelled", "beta": "ok"}
    assert len(place.known) == 303


async def test_each_has_one_response_whenever_it_is_taken_back(place: WritingPlace) -> None:
    chance = random.Random(59)
    names = [f"{letter}{number}" for number in range(10) for letter in "abcdef"]
    quick = {"max_new_tokens": 30, "min_new_tokens": 30}
    async with place.writing():
        await asyncio.gather(place.ask(*names, params=quick), take_some(place, names, chance))
        found = await place.ended(len(names))
        # Nothing else comes of it.
        await place.ask("last", params=quick)
        found = await place.ended(len(names) + 1)

    ends = kinds(found)
    assert ends.pop("last") == "ok"
    assert set(ends.values()) == {"ok", "cancelled"}
    assert place.counted("before") + place.counted("under-way") == sum(
        one == "cancelled" for one in ends.values()
    )
    assert sum((await place.committed()).values()) == len(names) + 1


async def take_some(place: WritingPlace, names: list[str], chance: random.Random) -> None:
    """Half of them, in another order than they were asked in."""
    for name in chance.sample(names, len(names) // 2):
        await place.take_back(name)
        await asyncio.sleep(chance.random() / 50)


async def test_without_the_topic_requests_are_answered_and_it_is_heard_once_it_is_there(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamproc.kafka.topic_follower.LOOK_AGAIN_S", 0.1)
    place = WritingPlace(kafka, tmp_path)
    await place.make_described(place.cancels)
    async with place.writing():
        await place.ask("alpha", params=SHORT)
        await place.ended(1)
        await place.ask("beta")
        await place.is_written("beta")
        await place.make_described()
        await place.take_back("beta")
        found = await place.ended(2)

    assert kinds(found) == {"alpha": "ok", "beta": "cancelled"}


@asynccontextmanager
async def client(place: WritingPlace) -> AsyncIterator[RequestClient]:
    async with RequestClient.of_task(place.settings, TASK, reply_topic=place.replies) as opened:
        yield opened


async def test_a_client_that_stops_waiting_takes_back_what_it_asked(place: WritingPlace) -> None:
    async with place.writing(), client(place) as asker:
        asking = asyncio.create_task(asker.ask({"text": "alpha", "params": ENDLESS}))
        async with aclosing(asker.stream({"text": "beta", "params": ENDLESS})) as stream:
            assert isinstance(await anext(stream), TextPart)
            await place.is_written("alpha", "beta")
        asking.cancel()
        found = await place.ended(2, place.replies)
        answer = await asker.ask({"text": "gamma", "params": SHORT})

    assert set(kinds(found).values()) == {"cancelled"}
    assert answer["status"] == "ok"


async def test_a_client_without_an_event_loop_that_closes_a_stream_takes_it_back(
    place: WritingPlace,
) -> None:
    def begin_and_leave() -> None:
        with Client(TASK, OverKafka(place.settings)) as client:
            stream = client.stream("alpha", **ENDLESS)
            assert isinstance(next(stream), TextPart)
            # As a `for` that is left does.
            del stream

    async with place.writing():
        await asyncio.to_thread(begin_and_leave)
        found = await place.ended(1, place.replies)

    assert set(kinds(found).values()) == {"cancelled"}


async def test_what_a_client_names_itself_is_its_own_to_take_back(place: WritingPlace) -> None:
    named = (("kafka_correlationId", b"all of mine"),)
    async with place.writing():
        async with client(place) as asker:
            asking = asyncio.create_task(
                asker.ask({"text": "alpha", "params": ENDLESS}, headers=named)
            )
            await place.is_written("alpha")
            asking.cancel()
        assert [one async for one in read_topic(place.settings, place.cancels)] == []
        await place.take_back("all of mine")
        found = await place.ended(1, place.replies)

    assert set(kinds(found).values()) == {"cancelled"}


@contextmanager
def gateway(place: WritingPlace, **settings: Any) -> Iterator[str]:
    """The address of a gateway on the place's topics."""
    app = build_app(place.settings, GatewaySettings(**{"page": "off", **settings}))
    with listening(app) as address:
        yield address


@asynccontextmanager
async def calling(place: WritingPlace, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway that is ready, and who calls it."""
    with gateway(place, **settings) as address:
        async with httpx.AsyncClient(base_url=address, timeout=60) as http:
            async with asyncio.timeout(60):
                while (await http.get("/health/ready")).status_code != 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            yield http


async def test_a_caller_who_leaves_a_gateway_takes_its_request_back(place: WritingPlace) -> None:
    async with place.writing(), calling(place) as http:
        asking = [
            asyncio.create_task(
                http.post(f"/v1/{TASK}", json={"id": name, "text": name, "params": ENDLESS})
            )
            for name in ("alpha", "beta")
        ]
        await place.is_written("alpha", "beta")
        asking[0].cancel()
        found = await place.ended(1, place.replies)
        assert kinds(found) == {"alpha": "cancelled"}
        so_far = len(place.steps)
        stays = await http.post(f"/v1/{TASK}", json={"id": "c", "text": "c", "params": SHORT})
        assert place.steps_of("alpha", since=so_far) == 0
        assert place.steps_of("beta", since=so_far) > 0
        asking[1].cancel()
        found = await place.ended(3, place.replies)

    assert stays.json()["status"] == "ok"
    assert kinds(found) == {"alpha": "cancelled", "beta": "cancelled", "c": "ok"}


async def test_a_caller_who_leaves_takes_back_all_of_a_list(place: WritingPlace) -> None:
    names = ["alpha", "beta", "gamma"]
    bodies = [{"id": name, "text": name, "params": ENDLESS} for name in names]
    async with place.writing(), calling(place) as http:
        asking = asyncio.create_task(http.post(f"/v1/{TASK}", json=bodies))
        await place.is_written(*names)
        asking.cancel()
        found = await place.ended(3, place.replies)

    assert kinds(found) == dict.fromkeys(names, "cancelled")


async def test_an_event_stream_that_is_closed_takes_its_request_back(place: WritingPlace) -> None:
    body = {"id": "alpha", "text": "alpha", "params": ENDLESS}
    events = {"Accept": "text/event-stream"}
    async with place.writing(), calling(place) as http:
        async with http.stream("POST", f"/v1/{TASK}", json=body, headers=events) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    break
        found = await place.ended(1, place.replies)
        so_far = len(place.steps)
        await place.ask("beta", params=SHORT)
        await place.ended(1)

    assert set(kinds(found).values()) == {"cancelled"}
    assert place.steps_of("alpha", since=so_far) == 0
    records = [one async for one in read_topic(place.settings, place.replies)]
    in_order = [is_part(one.headers) for one in records]
    assert in_order == [True] * (len(records) - 1) + [False]
    assert len(records) > 1


@pytest.mark.parametrize("header", [("Prefer", "respond-async, wait=60"), ("Idempotency-Key", "k")])
async def test_a_request_whose_answer_is_asked_for_later_goes_on(
    place: WritingPlace, header: tuple[str, str]
) -> None:
    async with place.writing(), calling(place) as http:
        body = {"id": "alpha", "text": "alpha", "params": SHORT}
        leaving = asyncio.create_task(http.post(f"/v1/{TASK}", json=body, headers=[header]))
        await place.is_written("alpha")
        leaving.cancel()
        found = await place.ended(1, place.replies)

    assert kinds(found) == {"alpha": "ok"}
    assert [one async for one in read_topic(place.settings, place.cancels)] == []


async def test_a_caller_whose_time_is_over_takes_its_request_back(place: WritingPlace) -> None:
    patient = {"id": "alpha", "text": "alpha", "params": ENDLESS, "deadline_ms": 600_000}
    async with place.writing(), calling(place) as http:
        answer = await http.post(f"/v1/{TASK}", json=patient, headers={"Prefer": "wait=2"})
        found = await place.ended(1, place.replies)

    assert answer.status_code in (503, 504)
    assert kinds(found) == {"alpha": "cancelled"}
