"""The verifier sees what went wrong: it is what the runs that try to break workers lean on."""

from __future__ import annotations

from typing import Any

import orjson
from aiokafka import TopicPartition

from tests.support.task_topics import topics_of
from tests.support.topics import BULK, REQUESTS, RESPONSES, Stored
from tests.support.verifier import Verdict, committed_too_early, judge, judge_each, twice_by_cause


def stored(
    name: str, origin: str = REQUESTS, place: str = RESPONSES, *, chunks: int = 1, **fields: Any
) -> Stored:
    body = {"id": name, "status": "ok", "result": {"score": 0.5}, "coverage": {"chunks": chunks}}
    headers = {"topic": origin, "partition": "0", "offset": "7"}
    return Stored(
        (place, 0, 0),
        None,
        orjson.dumps({**body, **fields}),
        {f"streamproc-request-{key}": value.encode() for key, value in headers.items()},
    )


def test_each_request_is_judged_by_all_of_its_responses() -> None:
    verdict = judge(
        ["once", "twice", "otherwise", "failed", "never", "long"],
        [
            stored("once"),
            *[stored("twice", timing={"total_ms": number}) for number in (1, 2)],
            *[stored("otherwise", result={"score": score}) for score in (0.5, 0.5000000000000001)],
            stored("failed", status="error", result=None, coverage=None),
            stored("long", chunks=3),
            stored("unasked"),
        ],
    )
    assert verdict == Verdict(
        asked=6,
        answered=5,
        in_chunks=("long",),
        lost=("never",),
        duplicates=("otherwise", "twice"),
        wrong=("otherwise",),
        not_ok=("failed",),
        strangers=("unasked",),
    )
    assert not verdict.good
    assert judge(["once", "twice"], [stored("once"), stored("twice"), stored("twice")]).good


def test_a_response_counts_for_the_topic_of_its_request_and_in_its_own_place_only() -> None:
    translations = topics_of("translation")
    asked = {REQUESTS: ["a"], BULK: ["b"], translations.requests: ["t", "u"]}
    verdicts = judge_each(
        asked,
        [
            stored("a"),
            stored("b"),
            stored("t", translations.requests, translations.responses),
            stored("u", translations.requests, RESPONSES),
        ],
    )
    assert [verdicts[topic].lost for topic in asked] == [(), ("b",), ("u",)]
    assert verdicts[REQUESTS].strangers == ("b",)
    assert verdicts[RESPONSES].strangers == ("u",)


def test_a_commit_past_a_request_without_a_response_is_too_early() -> None:
    here, there = TopicPartition(REQUESTS, 0), TopicPartition(BULK, 3)
    answered = {(REQUESTS, 0, 5), (REQUESTS, 0, 7), (BULK, 3, 0)}
    early = committed_too_early({here: 8, there: 1}, {here: 5}, answered)
    assert early == [(REQUESTS, 0, 6)]


def test_what_was_answered_twice_is_told_by_what_was_committed_before() -> None:
    here = TopicPartition(REQUESTS, 0)
    uncommitted = {(REQUESTS, 0, 5), (REQUESTS, 0, 6), (REQUESTS, 0, 9)}
    times = {(REQUESTS, 0, at): 2 for at in (4, 5, 6, 9)} | {(REQUESTS, 0, 7): 1}
    assert twice_by_cause(times, [({here: 5}, uncommitted)]) == {
        "a rebalance": 1,
        "since the last commit": 2,
        "above the low watermark": 1,
    }
