"""What is told to requests, and what is the worker's, by how members have done lately."""

from __future__ import annotations

import pytest

from streamproc.serving.member_health import BURST, WINDOW, MemberHealth
from streamproc.testing import ManualClock
from streamproc.web.readiness import STARTUP_GRACE_S, Readiness


def health_of(*members: str, needed: int | None = None) -> tuple[MemberHealth, ManualClock]:
    clock = ManualClock()
    return MemberHealth("tiny", members, needed or len(members), clock), clock


def test_a_member_that_answers_one_request_in_five_costs_few_their_answer() -> None:
    health, _ = health_of("a")
    told = 0
    for request in range(2_000):
        if request % 5 == 4:
            health.passed("a")
        else:
            told += not health.blames_worker(["a"])

    assert told <= WINDOW
    assert health.troubles() == [
        f"member a of ensemble tiny has failed on 51 of the last {WINDOW} inputs"
    ]


def test_failures_are_the_requests_own_while_most_others_pass() -> None:
    health, _ = health_of("a")
    for _ in range(10 * WINDOW):
        health.passed("a", 3)
        assert not health.blames_worker(["a"])

    assert health.troubles() == []


def test_the_first_result_ends_what_a_run_of_failures_began() -> None:
    health, clock = health_of("a", "b")
    blamed = [health.blames_worker(["a"]) for _ in range(BURST + 2)]
    assert blamed == [False] * BURST + [True] * 2
    clock.advance(7)
    assert health.troubles() == ["member a of ensemble tiny has failed on every request for 7 s"]
    health.passed("a")

    assert health.troubles() == []
    assert health.recoveries == 1
    assert not health.blames_worker(["a"])


def test_members_that_can_be_done_without_are_no_trouble() -> None:
    health, _ = health_of("a", "b", "c", needed=2)
    health.down("a", "member a fails on everything: broken")
    assert health.troubles() == []
    health.down("b", "member b: no memory")

    assert [trouble.split(" of ")[0] for trouble in health.troubles()] == ["member a", "member b"]


def test_what_runs_before_all_members_can_not_be_done_without() -> None:
    health, _ = health_of("a", "b", needed=1)
    health.watch("prefix", lambda: 4.0)

    assert health.troubles() == [
        "member prefix of ensemble tiny has not returned from a call for 4 s"
    ]
    assert health.hung() == ("prefix", 4.0)


def test_readiness_is_told_once_a_state(capsys: pytest.CaptureFixture[str]) -> None:
    clock = ManualClock()
    reasons = ["no topic-partitions have been assigned yet"]
    readiness = Readiness([lambda: reasons, list], clock)

    def told() -> list[str]:
        for _ in range(3):
            readiness.check()
        return [line for line in capsys.readouterr().out.splitlines() if line]

    assert told() == []
    clock.advance(STARTUP_GRACE_S)
    (line,) = told()
    assert "not ready yet" in line
    reasons.clear()
    (line,) = told()
    assert "ready" in line
    assert f"not_ready_for_s={STARTUP_GRACE_S}" in line
    for seconds in (30, 31, 45):
        reasons[:] = [f"member a has not returned from a call for {seconds} s"]
        lines = told()
        assert len(lines) == (seconds == 30)
        assert all("not ready" in line and "member a" in line for line in lines)
    reasons[:] = ["Kafka: no broker answers"]
    assert len(told()) == 1
    reasons.clear()
    assert len(told()) == 1
    assert readiness.reasons() == []
