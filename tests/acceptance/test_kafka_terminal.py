"""What records of others may not do to a terminal, and Kafka's own tools beside our commands."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from tests.support.command import streamproc
from tests.support.in_process import Ended, run
from tests.support.isolation import OwnTopics, describe_topics, make_topics
from tests.support.topics import Sent, send

pytestmark = pytest.mark.kafka

HOSTILE = "\x1b]0;title\x07\x1b[2J\u202e\x9b31m\nerror: forged"
SHOWN = r"\x1b]0;title\x07\x1b[2J\u202e\x9b31m\nerror: forged"


@pytest.fixture(scope="module")
def letters(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> OwnTopics:
    """Three dead letters whose id, title, detail, key, header and value would be obeyed."""
    topics = describe_topics(kafka, tmp_path_factory.mktemp("described") / "topics", "hostile")
    make_topics(topics)
    bad = HOSTILE.encode()
    said = {"type": b"invalid", "title": bad, "detail": bad, "id": bad}
    headers = tuple((f"streamproc-error-{name}", value) for name, value in said.items())
    sent = Sent(bad, topics.dead_letters, (*headers, ("x\x1b[2J", bad)), bad)
    asyncio.run(send(kafka, [sent] * 3))
    return topics


def asked(letters: OwnTopics, *arguments: str) -> Ended:
    flags = {
        "--kafka-bootstrap-servers": letters.settings["KAFKA_BOOTSTRAP_SERVERS"],
        "--topics-dir": letters.settings["TOPICS_DIR"],
    }
    return run(*arguments, *(f"{name}={value}" for name, value in flags.items()))


@pytest.mark.parametrize("command", ["list", "show", "replay"])
def test_a_dead_letter_is_shown_and_not_obeyed(letters: OwnTopics, command: str) -> None:
    listed = asked(letters, "dlq", "list", "--json")
    offset = json.loads(listed.out)[0]["offset"]
    arguments = {"list": (), "show": (offset,), "replay": ("--all",)}[command]

    done = asked(letters, "dlq", command, *arguments)

    said = done.said
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", said)
    if command != "replay":
        assert SHOWN in said
        # Of all that it says, the value alone may have lines, and they stand to the right.
        assert not [line for line in said.splitlines() if line.startswith("error: forged")]
    else:
        assert "not a described request topic" in done.err


def test_json_is_exact(letters: OwnTopics) -> None:
    done = asked(letters, "dlq", "list", "--json")

    assert {one["id"] for one in json.loads(done.out)} == {HOSTILE}


def test_a_list_that_is_cut_short_says_nothing_beside(letters: OwnTopics) -> None:
    done = asked(letters, "dlq", "list", "--limit", "1", "--json")

    assert len(json.loads(done.out)) == 1
    assert done.err == ""


@pytest.mark.parametrize("arguments", [("list",), ("replay", "--all")])
def test_a_kind_that_there_is_not_is_refused_with_those_that_there_are(
    letters: OwnTopics, arguments: tuple[str, ...]
) -> None:
    done = asked(letters, "dlq", *arguments, "--type", "bogus")

    assert done.code == 2
    assert "unreadable, invalid, failed" in done.err


def test_kafkas_own_tools_come_with_the_embedded_kafka(letters: OwnTopics) -> None:
    there = ("--bootstrap-server", letters.settings["KAFKA_BOOTSTRAP_SERVERS"])
    done = streamproc("broker", "tools", "kafka-topics", "--list", *there)
    wrong = streamproc("broker", "tools", "kafka-topics", "--lits", *there)

    assert done.returncode == 0, done.stderr
    assert letters.dead_letters in done.stdout.splitlines()
    assert wrong.returncode == 1
