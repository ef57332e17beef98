"""`streamproc gateway`: our own requests over HTTP, answered as they are over Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from streamproc.kafka.client import RequestClient
from streamproc.messages.client import ResponseBody
from tests.support.gateway_process import GatewayProcess
from tests.support.good_requests import requests_of
from tests.support.small_ensembles import SMALL
from tests.support.texts import short_texts
from tests.support.ways_in import STARTS_WITHIN_S, WaysIn

pytestmark = pytest.mark.kafka
TEXT = "a lovely film, and a long one"


@pytest.fixture
def http(ways_in: WaysIn) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=ways_in.address, timeout=60) as client:
        yield client


def what_was_said(response: ResponseBody | dict[str, Any]) -> dict[str, Any]:
    """A response without what differs from time to time."""
    return {name: value for name, value in response.items() if name not in ("id", "timing")}


@pytest.mark.parametrize("task", SMALL)
async def test_an_answer_over_http_is_the_one_over_kafka(ways_in: WaysIn, task: str) -> None:
    bodies = requests_of(task, short_texts(43))[:3]
    async with (
        RequestClient.of_task(ways_in.settings, task) as client,
        httpx.AsyncClient(base_url=ways_in.address, timeout=60) as http,
    ):
        for body in bodies:
            over_kafka = await client.ask(body)
            over_http = await http.post(f"/v1/{task}", json=body)

            assert over_http.status_code == 200, over_http.text
            assert what_was_said(over_http.json()) == what_was_said(over_kafka)


def test_bytes_of_metadata_and_the_id_come_back_as_they_were(http: httpx.Client) -> None:
    metadata = b'{"price": 1.10, "n": 123456789012345678901234567890}'

    answer = http.post(
        "/v1/text-classification",
        content=b'{"id": "mine", "text": "x", "metadata": %b}' % metadata,
    )

    assert metadata in answer.content
    assert answer.json()["id"] == "mine"


def test_each_request_of_a_list_has_an_outcome_of_its_own(http: httpx.Client) -> None:
    body = b'[{"id": "a", "text": "good", "metadata": 1.10}, {"id": "b", "text": 5}, 7]'

    answer = http.post("/v1/text-classification", content=body)

    assert answer.status_code == 200
    first, second, third = answer.json()
    assert (first["status"], first["body"]["id"]) == (200, "a")
    assert b'"metadata":1.10' in answer.content
    assert (second["status"], second["body"]["response"]["id"]) == (422, "b")
    assert second["body"]["type"] == "urn:streamproc:problem:invalid"
    assert (third["status"], third["body"]["type"]) == (400, "urn:streamproc:problem:not-json")


def test_an_answer_is_fetched_later_from_where_the_gateway_says(http: httpx.Client) -> None:
    asked = http.post("/v1/translation", json={"text": TEXT}, headers={"Prefer": "respond-async"})

    assert asked.status_code == 202
    assert asked.headers["Preference-Applied"] == "respond-async"
    later = http.get(asked.headers["Location"], headers={"Prefer": "wait=30"})
    assert later.status_code == 200
    assert later.json()["result"]["translation_text"]
    assert http.get(asked.headers["Location"]).content == later.content


def test_an_unknown_id_is_a_problem(http: httpx.Client) -> None:
    answer = http.get("/v1/requests/unknown")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:streamproc:problem:unknown-request"


def test_a_key_that_was_used_brings_the_same_answer_and_takes_no_other_body(
    http: httpx.Client,
) -> None:
    key = {"Idempotency-Key": "order-7"}

    first = http.post("/v1/text-classification", json={"text": TEXT}, headers=key)
    again = http.post("/v1/text-classification", json={"text": TEXT}, headers=key)
    other = http.post("/v1/text-classification", json={"text": "another"}, headers=key)

    # The id of a request is made anew for each, unless it was not asked again.
    assert first.content == again.content
    assert other.status_code == 422
    assert other.json()["type"] == "urn:streamproc:problem:key-used-before"


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"{", 400, "not-json"),
        (b"", 400, "not-json"),
        (b"[{}", 400, "not-json"),
        (b"7", 400, "not-json"),
        (b'{"text": ' + b"[" * 100 + b"]" * 100 + b"}", 400, "not-json"),
        (b'{"text": 5}', 422, "invalid"),
        (b'{"text": "x", "params": {"nothing": 1}}', 422, "invalid"),
        (b'{"text": "x", "ensemble": "nobody"}', 422, "invalid"),
        (b"[" + b"{}," * 300 + b"{}]", 413, "batch-too-large"),
    ],
    ids=str,
)
def test_what_can_not_be_answered_is_a_problem_that_says_why(
    http: httpx.Client, body: bytes, status: int, kind: str
) -> None:
    answer = http.post("/v1/text-classification", content=body)

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"urn:streamproc:problem:{kind}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]


def test_a_request_that_nobody_answers_is_told_so(ways_in: WaysIn, http: httpx.Client) -> None:
    assert ways_in.worker.exit_code is None
    answer = http.post("/v1/translation", json={"text": TEXT * 50}, headers={"Prefer": "wait=0"})

    assert answer.status_code in (503, 504)
    assert int(answer.headers["Retry-After"]) >= 1


def test_a_structured_cloudevent_comes_back_as_one(http: httpx.Client) -> None:
    event = {
        "specversion": "1.0",
        "id": "e1",
        "source": "/shop",
        "type": "review",
        "data": {"text": TEXT},
    }

    answer = http.post("/v1/text-classification", json=event)

    assert answer.status_code == 200, answer.text
    assert answer.json()["requestid"] == "e1"
    assert answer.json()["data"]["status"] == "ok"


def test_health_and_metrics(http: httpx.Client) -> None:
    http.post("/v1/text-classification", json={"text": TEXT})

    assert http.get("/health/live").json() == {"live": True}
    assert http.get("/health/ready").json() == {"ready": True, "reasons": []}
    text = http.get("/metrics").text
    counted = 'streamproc_gateway_requests_total{route="/v1/text-classification",status="200"}'
    assert counted in text


def test_the_openapi_document_has_an_address_for_each_task(http: httpx.Client) -> None:
    document = orjson.loads(http.get("/openapi.json").content)

    assert {f"/v1/{task}" for task in SMALL} <= set(document["paths"])
    assert "text-generation.request.params" in document["components"]["schemas"]


def test_nothing_of_a_text_is_in_the_log(ways_in: WaysIn, http: httpx.Client) -> None:
    text = "Geheimnis-4711"
    for body in ({"text": text}, {"text": 5, "metadata": text}, {"text": "x", text: 1}):
        http.post("/v1/text-classification", json=body)
        http.post("/v1/classify", json=body | {"input": [text, 5]})
        http.post(f"/models/{text}", json={"inputs": text})
    http.post("/v1/text-classification", content=text.encode())
    http.get(f"/{text}?{text}", headers={"X-API-Key": text})

    assert "gateway started" in ways_in.gateway.said
    assert text not in ways_in.gateway.said


def test_a_gateway_that_is_told_to_stop_answers_what_has_come(
    ways_in: WaysIn, tmp_path: Path
) -> None:
    gateway = GatewayProcess(
        ways_in.kafka, tmp_path / "gateway.log", {"MODELS_DIR": str(ways_in.models)}
    )
    gateway.start()
    try:
        address = gateway.wait_until_ready(STARTS_WITHIN_S)
        with httpx.Client(base_url=address, timeout=60) as client, ThreadPoolExecutor() as pool:
            texts = [{"text": f"{TEXT} {number}"} for number in range(8)]
            asked = pool.submit(client.post, "/v1/translation", json=texts)
            while not metric(client, "streamproc_gateway_in_flight"):
                assert not asked.done(), asked.result().text
            code = gateway.terminate()
            answer = asked.result()
    finally:
        gateway.stop()

    assert code == 0
    assert [one["status"] for one in answer.json()] == [200] * 8


def metric(client: httpx.Client, name: str) -> float:
    """A metric without labels."""
    lines = client.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))
