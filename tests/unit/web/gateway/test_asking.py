"""Waiting, leaving, coming back: what happens to a request whose answer takes its time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest

from streamproc.testing.clock import ManualClock
from streamproc.web.gateway.gateway import while_connected
from streamproc.web.gateway.kept import ENTRY_BYTES, KeptRequests
from streamproc.web.gateway.preferences import Preferences, read_preferences
from streamproc.web.gateway.problems import GatewayProblem, Outcome
from tests.support.gateway_app import LocalReplies, asking, gateway_app

ASK = "/v1/text-classification"
BODY = {"text": "good"}


@pytest.mark.parametrize(
    ("headers", "preferences"),
    [
        ([], Preferences()),
        (["wait=10"], Preferences(10.0)),
        (["respond-async, wait=2.5"], Preferences(2.5, responds_async=True)),
        (["Respond-Async", 'Wait="3"'], Preferences(3.0, responds_async=True)),
        (["wait=1, wait=9"], Preferences(1.0)),
        (["return=minimal; foo=bar, wait=4;x=y"], Preferences(4.0)),
        (["wait=soon"], Preferences()),
        (["wait=-1"], Preferences()),
        (["wait=nan, wait=inf"], Preferences()),
        ([",;=,"], Preferences()),
    ],
    ids=str,
)
def test_preferences_are_read_and_what_is_no_preference_is_left_out(
    headers: list[str], preferences: Preferences
) -> None:
    assert read_preferences(headers) == preferences


async def test_a_request_without_a_deadline_gets_the_wait_as_one(
    models: Path, replies: LocalReplies
) -> None:
    values = []
    ask = replies.ask

    async def noted(topic: str, value: bytes, **more: object) -> object:
        values.append(orjson.loads(value))
        return await ask(topic, value, **more)  # type: ignore[arg-type]

    replies.ask = noted  # type: ignore[method-assign, assignment]
    async with asking(gateway_app(models, replies, max_wait_s=20, keep_s=600)) as client:
        await client.post(ASK, json=BODY, headers={"Prefer": "wait=7"})
        await client.post(ASK, json=BODY, headers={"Prefer": "wait=1000"})
        await client.post(ASK, json={**BODY, "deadline_ms": 5000, "id": "mine"})
        await client.post(ASK, json=BODY, headers={"Prefer": "respond-async"})

    assert [value["deadline_ms"] for value in values] == [7000, 20_000, 5000, 600_000]
    assert values[2]["id"] == "mine"
    assert len({value["id"] for value in values}) == 4


async def test_the_trace_of_a_caller_goes_along(models: Path, replies: LocalReplies) -> None:
    trace = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    async with asking(gateway_app(models, replies)) as client:
        await client.post(ASK, json=BODY, headers=trace | {"tracestate": "a=1"})
        await client.post("/v1/classify", json={"input": "good"}, headers=trace)

    assert replies.asked == [
        (("traceparent", trace["traceparent"].encode()), ("tracestate", b"a=1")),
        (("traceparent", trace["traceparent"].encode()),),
    ]


async def test_a_request_that_is_not_answered_in_time_is_said_to_be(
    models: Path, replies: LocalReplies
) -> None:
    replies.hold = asyncio.Event()
    async with asking(gateway_app(models, replies)) as client:
        nobody = await client.post(ASK, json=BODY, headers={"Prefer": "wait=0.1"})
        waiting = asyncio.create_task(client.post(ASK, json=BODY, headers={"Prefer": "wait=0.5"}))
        await asyncio.sleep(0.1)
        held, replies.hold = replies.hold, None
        other = await client.post(ASK, json=BODY)
        late = await waiting
        held.set()

    assert (nobody.status_code, nobody.json()["type"]) == (
        503,
        "urn:streamproc:problem:nobody-answers",
    )
    assert other.status_code == 200
    assert (late.status_code, late.json()["type"]) == (504, "urn:streamproc:problem:timed-out")
    assert "Retry-After" in nobody.headers
    assert "Retry-After" in late.headers


async def test_without_kafka_a_caller_is_told_at_once(models: Path, replies: LocalReplies) -> None:
    replies.missing = "no broker answers"
    async with asking(gateway_app(models, replies)) as client:
        answer = await client.post(ASK, json=BODY)
        ready = await client.get("/health/ready")
        live = await client.get("/health/live")

    assert (answer.status_code, answer.json()["detail"]) == (503, "no broker answers")
    assert answer.headers["Retry-After"] == "1"
    assert (ready.status_code, live.status_code) == (503, 200)


async def test_too_much_on_its_way_is_refused_and_goes_again_when_it_is_done(
    models: Path, replies: LocalReplies
) -> None:
    replies.hold = asyncio.Event()
    async with asking(gateway_app(models, replies, max_in_flight=2)) as client:
        first = [asyncio.create_task(client.post(ASK, json=BODY)) for _ in range(2)]
        await replies.were_asked(2)
        refused = await client.post(ASK, json=BODY)
        replies.hold.set()
        answered = await asyncio.gather(*first)
        again = await client.post(ASK, json=BODY)

    assert (refused.status_code, refused.json()["type"]) == (503, "urn:streamproc:problem:busy")
    assert refused.headers["Retry-After"] == "1"
    assert [one.status_code for one in (*answered, again)] == [200] * 3


async def test_work_is_given_up_when_its_caller_leaves() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.sleep(3600)
        finally:
            ended.set()

    async def receive() -> dict[str, str]:
        await begun.wait()
        return {"type": "http.disconnect"}

    with pytest.raises(GatewayProblem) as left:
        await while_connected(receive, work())

    assert left.value.status == 499
    await asyncio.wait_for(ended.wait(), 5)


async def test_work_has_ended_when_its_caller_is_known_to_have_left() -> None:
    begun, has_ended = asyncio.Event(), False

    async def work() -> None:
        nonlocal has_ended
        try:
            begun.set()
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            has_ended = True

    async def receive() -> dict[str, str]:
        await begun.wait()
        return {"type": "http.disconnect"}

    with pytest.raises(GatewayProblem, match="caller-left"):
        await while_connected(receive, work())

    assert has_ended


async def test_a_key_whose_request_is_on_its_way_waits_for_the_same_answer(
    models: Path, replies: LocalReplies
) -> None:
    replies.hold = asyncio.Event()
    key = {"Idempotency-Key": "k"}
    async with asking(gateway_app(models, replies)) as client:
        both = [asyncio.create_task(client.post(ASK, json=BODY, headers=key)) for _ in range(2)]
        await replies.were_asked(1)
        replies.hold.set()
        first, second = await asyncio.gather(*both)

    assert first.content == second.content
    assert len(replies.asked) == 1


async def test_a_key_whose_request_had_no_answer_may_try_again(
    models: Path, replies: LocalReplies
) -> None:
    key = {"Idempotency-Key": "k"}
    async with asking(gateway_app(models, replies)) as client:
        replies.missing = "away"
        away = await client.post(ASK, json=BODY, headers=key)
        replies.missing = None
        again = await client.post(ASK, json=BODY, headers=key)

    assert (away.status_code, again.status_code) == (503, 200)


@pytest.mark.parametrize(
    ("status", "is_final"), [(200, True), (422, True), (429, False), (499, False), (502, False)]
)
def test_what_asking_again_may_change_is_not_kept_for_a_key(status: int, is_final: bool) -> None:
    assert Outcome(status, b"").is_final is is_final


async def answered(body: bytes) -> Outcome:
    return Outcome(200, body)


async def test_outcomes_are_kept_within_bytes_and_seconds() -> None:
    clock = ManualClock()
    kept = KeptRequests(keep_s=60, keep_bytes=2 * ENTRY_BYTES + 25, clock=clock)

    ids = []
    for number in range(3):
        one = kept.start(answered(b"0123456789"), owner="ann", body=b"%d" % number)
        ids.append(one.id)
        await one.outcome(5)
        await asyncio.sleep(0)
        clock.advance(10)

    with pytest.raises(GatewayProblem, match="kept for 60 s"):
        kept.find(ids[0], "ann")
    assert kept.find(ids[1], "ann").done_at_s is not None
    clock.advance(45)
    with pytest.raises(GatewayProblem):
        kept.find(ids[1], "ann")
    assert kept.find(ids[2], "ann").id == ids[2]


async def test_what_is_on_its_way_is_kept_however_long_it_takes() -> None:
    clock, done = ManualClock(), asyncio.Event()
    kept = KeptRequests(keep_s=1, keep_bytes=0, clock=clock)

    async def slow() -> Outcome:
        await done.wait()
        return Outcome(200, b"x")

    one = kept.start(slow(), owner="ann", body=b"")
    clock.advance(1000)

    assert kept.find(one.id, "ann") is one
    assert await one.outcome(0) is None
    done.set()
    assert await one.outcome(5) == Outcome(200, b"x")
