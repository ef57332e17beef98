"""The commands that talk to Kafka, as a user types them."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import streamproc
from tests.support.isolation import describe_topics, make_topics
from tests.support.topics import REQUESTS, RESPONSES, Sent, end_offsets, read_all, send

pytestmark = pytest.mark.kafka


def answers(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


@pytest.mark.parametrize("lane", ["interactive", "bulk"])
def test_submit_answers_in_order_and_counts_bad_rows(
    lane: str, requests_file: Path, at_kafka: dict[str, str]
) -> None:
    done = streamproc("submit", requests_file, "--lane", lane, settings=at_kafka)
    assert done.returncode == 1
    rows = answers(done.stdout)
    assert [row["id"] for row in rows] == ["a", "b", "3", "d", "e"]
    assert [row["status"] for row in rows] == ["ok", "ok", "error", "error", "ok"]
    assert [row["result"]["label"] for row in rows[:2]] == ["positive", "negative"]
    assert rows[4]["metadata"] == {"page": 3}
    assert "2 errors" in done.stderr


def test_submit_writes_parquet_and_asks_nothing_twice(
    requests_file: Path, at_kafka: dict[str, str]
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    output = requests_file.with_name("answers.parquet")
    command = ("submit", requests_file, "-o", output, "--keep-columns")

    first = streamproc(*command, settings=at_kafka)
    again = streamproc(*command, settings=at_kafka)
    retried = streamproc(*command, "--retry-errors", settings=at_kafka)

    assert [done.returncode for done in (first, again, retried)] == [1, 1, 1]
    assert "5 answered, 0 of them partial, 2 errors" in first.stderr
    assert "5 answered, 5 of them by a run before" in again.stderr
    assert "5 answered, 3 of them by a run before" in retried.stderr
    table = parquet.read_table(output)
    assert table["id"].to_pylist() == ["a", "b", "3", "d", "e"]
    assert table["label"].to_pylist()[:2] == ["positive", "negative"]
    assert table["error_type"].to_pylist() == [None, None, "unreadable", "invalid", None]
    assert table["text"].to_pylist() == ["a lovely film", "a terrible film", None, None, ""]
    assert table["metadata"].to_pylist()[4] == '{"page": 3}'
    assert table["source_metadata"].to_pylist()[4] == '{"page": 3}'


def test_submit_names_the_ensemble_it_was_told(tmp_path: Path, at_kafka: dict[str, str]) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("good\n", "utf-8")
    known = streamproc("submit", file, "--ensemble", "sentiment", settings=at_kafka)
    unknown = streamproc("submit", file, "--ensemble", "nonesuch", settings=at_kafka)
    assert known.returncode == 0
    assert unknown.returncode == 1
    assert "sentiment" in answers(unknown.stdout)[0]["error"]["detail"]


def test_submit_hands_rows_on_to_the_byte_and_gives_ids_back_as_they_came(
    tmp_path: Path, at_kafka: dict[str, str]
) -> None:
    file, output = tmp_path / "rows.json", tmp_path / "answers.jsonl"
    file.write_text(
        '[{"id": 7, "text": "good", "metadata": {"n": [1, 2.50]}},\n'
        ' {"id": null, "text": "bad"}, {"id": ["a"], "text": "x"},\n'
        ' {"id": "own", "text": "good", "ensemble": "nonesuch"}]',
        "utf-8",
    )

    done = streamproc("submit", file, "-o", output, "--ensemble", "sentiment", settings=at_kafka)

    assert done.returncode == 1
    rows = answers(output.read_text("utf-8"))
    assert [row["id"] for row in rows] == [7, "2", "3", "own"]
    assert [row["status"] for row in rows] == ["ok", "ok", "error", "error"]
    assert rows[0]["metadata"] == {"n": [1, 2.5]}
    # A row's own ensemble is asked; the option is for those that name none.
    assert "nonesuch" in rows[3]["error"]["detail"]
    assert "2 invalid" in done.stderr


def test_submit_says_that_no_worker_answers(kafka: str, tmp_path: Path) -> None:
    topics = describe_topics(kafka, tmp_path / "topics", "unanswered")
    make_topics(topics)
    file = tmp_path / "texts.txt"
    file.write_text("is anybody there\n", "utf-8")
    output = tmp_path / "answers.jsonl"
    output.write_text("yesterday's answers", "utf-8")
    command = ("submit", file, "-o", output, "--timeout-s", "2")
    done = streamproc(*command, settings=topics.settings)
    assert done.returncode == 2
    assert "no worker answers on unanswered.requests.v1" in done.stderr
    assert "Traceback" not in done.stderr
    assert output.read_text("utf-8") == "yesterday's answers"


def test_topics_are_made_once_and_listed(kafka: str, tmp_path: Path) -> None:
    topics = describe_topics(kafka, tmp_path / "topics", "made")
    before = streamproc("topics", "check", settings=topics.settings)
    first = streamproc("topics", "apply", "--json", settings=topics.settings)
    second = streamproc("topics", "apply", "--json", settings=topics.settings)
    listed = streamproc("topics", "list", "--json", settings=topics.settings)
    assert [done.returncode for done in (before, first, second, listed)] == [1, 0, 0, 0]
    names = {
        *(topics.requests, topics.bulk, topics.responses, topics.dead_letters, topics.feedback)
    }
    assert set(json.loads(first.stdout)["created"]) == names
    assert json.loads(second.stdout)["created"] == []
    assert {row["name"] for row in json.loads(listed.stdout) if row["exists"]} == names


def test_topics_that_differ_are_reported_and_left_alone(kafka: str, tmp_path: Path) -> None:
    topics = describe_topics(kafka, tmp_path / "topics", "drifting")
    make_topics(topics)
    topics.edit("requests", "topic_partitions: 12", "topic_partitions: 24")
    topics.edit("responses", "retention_ms: ", "retention_ms: 1")
    larger = {**topics.settings, "MAX_MESSAGE_BYTES": "2097152"}
    applied = streamproc("topics", "apply", "--json", settings=topics.settings)
    checked = streamproc("topics", "check", "--json", settings=larger)
    assert [done.returncode for done in (applied, checked)] == [1, 1]
    drift, differing = (json.loads(done.stdout)["drift"] for done in (applied, checked))
    assert {row["topic"] for row in drift} == {topics.requests, topics.responses}
    assert [row for row in drift if row not in differing] == []
    assert {row["topic"] for row in differing if row["what"] == "max.message.bytes"} == {
        topics.requests,
        topics.bulk,
        topics.responses,
        topics.dead_letters,
        topics.feedback,
    }


def test_a_kafka_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = streamproc("topics", "check", settings={"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"})
    assert done.returncode in {1, 2}
    assert "no Kafka at 127.0.0.1:9; start one (`streamproc broker`)" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_dead_letter_is_listed_shown_and_replayed_under_its_id(
    kafka: str, at_kafka: dict[str, str]
) -> None:
    value = b'{"id": "dlq-acceptance", "text": "good", "params": {"top_k": 0}}'
    sent = Sent(value, REQUESTS, (("correlation-id", b"c-1"),), b"key")

    def asked(*arguments: str) -> Any:
        done = streamproc("dlq", *arguments, "--json", settings=at_kafka)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def answered(count: int) -> None:
        """Returns once there are so many answers; the dead letter is stored before its answer."""
        while len(stored := asyncio.run(read_all(kafka, [RESPONSES], start))) < count:
            time.sleep(0.1)
        ours = [response.body for response in stored if response.key == b"key"]
        assert [(one["id"], one["status"]) for one in ours] == [("dlq-acceptance", "error")] * count

    start = asyncio.run(end_offsets(kafka, RESPONSES))
    asyncio.run(send(kafka, [sent]))
    answered(1)
    [letter] = asked("list", "--id", "dlq-acceptance")
    assert (letter["type"], letter["request_topic"]) == ("invalid", REQUESTS)
    shown = asked("show", letter["offset"])
    assert shown["value"] == value.decode()
    assert shown["headers"]["correlation-id"] == "c-1"

    chosen = ("replay", "--id", "dlq-acceptance")
    assert asked(*chosen, "--dry-run") == {"dry_run": True, "replayed": {REQUESTS: 1}}
    # As bad as before, it is given up on again: under the same id, and once, as the dry run did
    # not ask it.
    assert asked(*chosen) == {"dry_run": False, "replayed": {REQUESTS: 1}}
    answered(2)


def test_replay_wants_to_be_told_which(at_kafka: dict[str, str]) -> None:
    done = streamproc("dlq", "replay", settings=at_kafka)
    assert done.returncode == 2
    assert "--all" in done.stderr
