"""Asking without Kafka: the requests and responses of the wire, in this process."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from streamproc import LocalClient, Settings
from streamproc.clock import SystemClock
from streamproc.errors import ModelRefused, Unreadable
from streamproc.testing import MemoryBroker, build_pipeline, build_record


def local_client() -> LocalClient:
    return LocalClient(build_pipeline(MemoryBroker()), SystemClock())


async def test_the_response_is_the_one_that_goes_over_kafka() -> None:
    request = {"id": "a", "text": "the good film", "metadata": {"n": [1]}}
    broker = MemoryBroker()
    await build_pipeline(broker)(build_record(request))

    response = await local_client().ask(request)

    (other,) = broker.values("responses")
    timing = {"timing": response["timing"]}
    assert response == {**other, **timing}


async def test_requests_without_an_id_are_numbered_and_metadata_comes_back_to_the_byte() -> None:
    client = local_client()

    answers = await asyncio.gather(
        *(client.ask_json(b'{"text": "good", "metadata": 1.10}') for _ in range(3))
    )

    assert len({response["id"] for response, _ in answers}) == 3
    assert all(b'"metadata":1.10' in written for _, written in answers)


async def test_a_request_that_is_wrong_is_answered_by_an_error() -> None:
    response = await local_client().ask({"id": "a", "text": 1})

    assert (response["id"], response["status"]) == ("a", "error")
    assert response["error"]["type"] == "invalid"


@pytest.mark.parametrize("body", [b"[1]", b"{", b'{"text": ' + b"[" * 70 + b"]" * 70 + b"}"])
async def test_what_no_answer_could_name_is_raised(body: bytes) -> None:
    with pytest.raises(Unreadable):
        await local_client().ask_json(body)


async def test_an_ensemble_that_is_not_there_is_told_before_any_is_loaded() -> None:
    with pytest.raises(ModelRefused, match="no ensemble 'nosuch'"):
        async with LocalClient.of_task(Settings(), ensemble="nosuch"):
            raise AssertionError


async def test_an_ensemble_of_another_task_is_told_as_such() -> None:
    said = "ensemble 'entities' is for token-classification, not for text-classification"
    with pytest.raises(ModelRefused, match=said):
        async with LocalClient.of_task(Settings(), ensemble="entities"):
            raise AssertionError


async def test_a_cloud_event_is_a_request_too() -> None:
    event = {"specversion": "1.0", "id": "e", "source": "/s", "type": "t", "data": {"text": "good"}}

    response, written = await local_client().ask_json(orjson.dumps(event))

    assert (response["id"], response["status"]) == ("e", "ok")
    assert orjson.loads(written)["id"] == "e"
