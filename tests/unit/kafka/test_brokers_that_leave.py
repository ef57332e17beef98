"""Brokers that were there when a client connected, and are not a moment later."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any, NoReturn

import pytest
from aiokafka.errors import KafkaError

from streamproc.errors import NoKafka, TopicsError
from streamproc.kafka import topic_admin, topic_reader
from streamproc.kafka.topic_admin import TopicAdmin
from streamproc.kafka.topic_reader import read_topic
from streamproc.settings import Settings

NOWHERE = "127.0.0.1:1"


class Leaving:
    """A client of Kafka that connects, and is answered nothing."""

    made: list[Leaving]

    def __init__(self, **_options: Any) -> None:
        self.is_closed = False
        self._client = self
        self.made.append(self)

    async def start(self) -> None: ...

    async def stop(self) -> None:
        self.is_closed = True

    close = stop

    async def topics(self) -> NoReturn:
        raise KafkaError("Unable to get cluster metadata over all known brokers")

    list_topics = topics


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[Leaving]:
    """Those that are made."""
    monkeypatch.setattr(topic_reader, "AIOKafkaConsumer", Leaving)
    monkeypatch.setattr(topic_admin, "AIOKafkaAdminClient", Leaving)
    monkeypatch.setattr(Leaving, "made", [], raising=False)
    return Leaving.made


async def test_a_reader_says_that_there_is_no_kafka(clients: list[Leaving]) -> None:
    settings = Settings(kafka_bootstrap_servers=NOWHERE)
    with pytest.raises(NoKafka, match=f"no Kafka at {NOWHERE}: .*Unable to get cluster metadata"):
        async with aclosing(read_topic(settings, "a")) as records:
            [record async for record in records]
    assert [one.is_closed for one in clients] == [True]


async def test_whoever_asks_for_topics_is_told_so_too(clients: list[Leaving]) -> None:
    settings = Settings(kafka_bootstrap_servers=NOWHERE)
    with pytest.raises(NoKafka, match=f"no Kafka at {NOWHERE}: .*Unable to get cluster metadata"):
        async with TopicAdmin(settings) as admin:
            await admin.missing(["a"])
    assert [one.is_closed for one in clients] == [True]


async def test_what_is_wrong_with_a_topic_is_told_as_it_is(clients: list[Leaving]) -> None:
    with pytest.raises(TopicsError, match="a topic"):
        async with TopicAdmin(Settings(kafka_bootstrap_servers=NOWHERE)):
            raise TopicsError("a topic")
    assert [one.is_closed for one in clients] == [True]
