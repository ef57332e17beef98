"""The verifier of `make chaos` sees what went wrong, and blames the fault in which it did."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from aiokafka import TopicPartition

from tests.chaos.asked import Asked, Told, Window, sources_of
from tests.chaos.asked import read as read_told
from tests.chaos.asked import write as write_told
from tests.chaos.checks import too_early, twice_by_cause
from tests.chaos.loads.instant import ENRICHED, EVENTS, Instant
from tests.chaos.table import figures, is_good
from tests.chaos.verifier import Row, Verdict, judge
from tests.support.command import ROOT
from tests.support.task_topics import topics_of
from tests.support.topics import BULK, DEAD_LETTERS, REQUESTS, RESPONSES, Stored

CALM, STORM = Window("calm", 0, {}), Window("storm", 2, {f"{RESPONSES}:0": 2, f"{ENRICHED}:0": 1})
TRANSLATION = topics_of("translation")
SOURCES = [*Instant.sources, *sources_of(["translation"])]


def asked(name: str, topic: str = REQUESTS, offset: int = 0, key: str = "k", log: int = 0) -> Asked:
    return Asked(name, key, topic, 0, offset, log)


def answer(one: Asked, at: int, topic: str | None = None, **changed: Any) -> Stored:
    """What came of it. at: its offset in the topic of answers"""
    is_event = one.topic == EVENTS
    body = {"id": one.id, "status": "ok", "result": {"label": "good"}, "coverage": {"chunks": 1}}
    body = {"id": one.id, "nlp": {"mood": {"label": "good"}}} if is_event else body
    kind = "source" if is_event else "request"
    where = {"topic": one.topic, "partition": "0", "offset": str(one.offset)}
    return Stored(
        (topic or (ENRICHED if is_event else RESPONSES), 0, at),
        one.key.encode(),
        orjson.dumps({**body, **changed}),
        {f"streamproc-{kind}-{name}": value.encode() for name, value in where.items()},
    )


def judged(
    some: Sequence[Asked], stored: Sequence[Stored], begins: dict[TopicPartition, int] | None = None
) -> Verdict:
    return judge(Told(SOURCES, [CALM, STORM], list(some)), stored, begins)


def test_all_that_is_answered_once_and_in_its_place_is_good_and_counted_by_kind() -> None:
    some = [asked("a"), asked("b", offset=1), asked("c", EVENTS), asked("d", BULK)]
    stored = [answer(one, at) for at, one in enumerate(some)]
    stored[1] = answer(some[1], 1, coverage={"chunks": 3})
    verdict = judged(some, stored)
    kinds = {
        REQUESTS: {"one chunk": 1, "several chunks": 1},
        EVENTS: {"enriched": 1},
        BULK: {"one chunk": 1},
    }
    assert verdict == Verdict(4, 4, [Row("calm"), Row("storm")], kinds)
    assert is_good(verdict, [CALM, STORM], is_once=True)


def test_what_is_missing_is_blamed_on_the_fault_since_which_it_was_sent() -> None:
    some = [asked("a"), asked("b", offset=1), asked("c", offset=2)]
    verdict = judged(some, [answer(some[0], 0)])
    assert [row.lost for row in verdict.rows] == [1, 1]
    assert len(verdict.first_wrong) == 2
    assert not is_good(verdict, [CALM, STORM], is_once=False)


def test_what_kafka_deleted_is_not_lost() -> None:
    old, below, above = (asked("a", BULK), asked("b", offset=4), asked("c", offset=5))
    again = asked("d", BULK, log=1)
    verdict = judged([old, below, above, again], [], {TopicPartition(REQUESTS, 0): 5})
    assert sum(row.gone for row in verdict.rows) == 2
    assert sum(row.lost for row in verdict.rows) == 2


def test_an_answer_that_comes_twice_is_blamed_on_the_fault_in_which_it_came_again() -> None:
    one = asked("a")
    verdict = judged([one], [answer(one, 0), answer(one, 2, timing={"total_ms": 1})])
    assert [row.twice for row in verdict.rows] == [0, 1]
    assert [row.wrong for row in verdict.rows] == [0, 0]
    assert is_good(verdict, [CALM, STORM], is_once=False)
    assert not is_good(verdict, [CALM, STORM], is_once=True)


def test_answers_that_are_not_as_they_should_be_are_wrong() -> None:
    one, other, third = asked("a"), asked("b", offset=1), asked("c", EVENTS)
    stored = [
        answer(one, 0),
        answer(one, 1, result={"label": "bad"}),
        answer(other, 2, status="error"),
        answer(third, 0, nlp={}),
        answer(asked("nobody"), 3),
        answer(other, 0, DEAD_LETTERS),
    ]
    verdict = judged([one, other, third], stored)
    assert sum(row.wrong for row in verdict.rows) == 5
    assert not is_good(verdict, [CALM, STORM], is_once=False)


def test_answers_elsewhere_than_they_belong_are_out_of_place() -> None:
    one, event, text = asked("a"), asked("b", EVENTS), asked("c", TRANSLATION.requests)
    stored = [
        answer(one, 0, ENRICHED, nlp={"mood": 1}),
        answer(asked("b", EVENTS, key="other"), 1),
        answer(asked("b", EVENTS, offset=7), 2),
        answer(text, 0, RESPONSES),
    ]
    verdict = judged([one, event, text], stored)
    assert sum(row.misplaced for row in verdict.rows) == 4
    assert not is_good(verdict, [CALM, STORM], is_once=False)


def test_an_event_behind_a_later_one_of_its_key_is_out_of_place_unless_it_came_before() -> None:
    first, second = asked("a", EVENTS), asked("b", EVENTS, offset=1)
    again = [answer(first, 0), answer(second, 1), answer(first, 2)]
    overtaken = [answer(second, 0), answer(first, 1)]
    assert sum(row.misplaced for row in judged([first, second], again).rows) == 0
    assert sum(row.misplaced for row in judged([first, second], overtaken).rows) == 1


def test_a_file_says_what_was_asked_and_when_faults_began(tmp_path: Path) -> None:
    told = Told(SOURCES, [CALM, STORM], [asked("a"), asked("ü", BULK, 3, log=1)])
    write_told(tmp_path / "asked.jsonl", told)
    assert read_told(tmp_path / "asked.jsonl") == told


def test_the_verifier_imports_nothing_of_streamproc() -> None:
    names = "print([name for name in sys.modules if name.partition('.')[0] == 'streamproc'])"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, tests.chaos.verifier; {names}"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "[]\n"


def test_a_commit_past_a_request_without_an_answer_is_too_early() -> None:
    here, there = TopicPartition(REQUESTS, 0), TopicPartition(BULK, 0)
    some = [asked(name, offset=offset) for offset, name in enumerate("abc")]
    some += [asked("d", BULK), asked("e", EVENTS)]
    assert too_early(some, {here: 2, there: 1}, {"a", "d"}) == [some[1]]


def test_what_was_answered_twice_is_told_by_what_was_committed_before() -> None:
    here = TopicPartition(REQUESTS, 0)
    uncommitted = {(REQUESTS, 0, 5), (REQUESTS, 0, 6), (REQUESTS, 0, 9)}
    times = {(REQUESTS, 0, at): 2 for at in (4, 5, 6, 9)} | {(REQUESTS, 0, 7): 1}
    assert twice_by_cause(times, [({here: 5}, uncommitted)]) == {
        "a rebalance": 1,
        "since the last commit": 2,
        "above the low watermark": 1,
    }


def test_the_table_has_a_line_for_each_fault_and_one_for_all() -> None:
    windows = [
        Window("none yet", 0, {}),
        *[Window("kill", 0, {}, 1, 0, 0.1, seconds) for seconds in (2.0, 8.04)],
    ]
    rows = [Row("none yet"), Row("kill", lost=1, twice=2), Row("kill", twice=3)]
    lines = figures(Verdict(5, 4, rows, {}), windows)
    assert [line["fault"] for line in lines] == ["none yet", "kill", "all"]
    of_kill = lines[1]
    assert (of_kill["times"], of_kill["lost"], of_kill["twice"]) == (2, 1, 5)
    assert of_kill["committed too early"] == 2
    assert (of_kill["first answer, s"], of_kill["lag back, s"]) == ("0.1", "2.0 to 8.0")
    assert not is_good(Verdict(5, 5, [], {}), windows, is_once=False)
