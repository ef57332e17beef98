"""Topics in Kafka: what is there, what is missing, and making that. Nothing is ever altered."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from types import TracebackType
from typing import Any, Final, Self

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from streamproc.errors import TopicsError
from streamproc.kafka.refusals import no_kafka
from streamproc.kafka.security import connection_options
from streamproc.kafka.topic_drift import DescribedTopic, Drift, FoundTopic, drift
from streamproc.settings import Settings

_MOST_REPLICAS = 3
_SHOWN_WITHIN_S: Final = (0.0, 0.2, 0.4, 0.8)


class TopicAdmin:
    """An asynchronous context manager over Kafka's administration.

    Raises NoKafka, or KafkaRefused, when no broker answers: on entry, and later.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin: AIOKafkaAdminClient | None = None

    async def __aenter__(self) -> Self:
        admin = AIOKafkaAdminClient(**connection_options(self._settings))
        try:
            await admin.start()
        except KafkaError as error:
            await admin.close()
            raise await no_kafka(self._settings, error) from None
        self._admin = admin
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._admin is not None:
            await self._admin.close()
        if isinstance(error, KafkaError):
            raise await no_kafka(self._settings, error) from None

    async def found(self, names: Iterable[str]) -> dict[str, FoundTopic]:
        """Those of the named topics that exist."""
        admin = self._started()
        there = set(await admin.list_topics()) & set(names)
        if not there:
            return {}
        described = await admin.describe_topics(sorted(there))
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in sorted(there)]
        configs: dict[str, dict[str, str]] = {}
        for response in await admin.describe_configs(resources):
            for code, message, _, name, entries in response.resources:
                if code:
                    raise TopicsError(f"{name}: its settings can't be read: {message}")
                configs[name] = {entry[0]: entry[1] for entry in entries}
        return {
            topic["topic"]: FoundTopic(
                topic["topic"], len(topic["partitions"]), configs.get(topic["topic"], {})
            )
            for topic in described
        }

    async def drift(self, described: Iterable[DescribedTopic]) -> list[Drift]:
        """How Kafka's topics differ from those described."""
        topics = list(described)
        found = await self.found(topic.name for topic in topics)
        return drift(topics, found, self._settings.max_message_bytes)

    async def create_missing(self, described: Iterable[DescribedTopic]) -> list[str]:
        """Make the topics that are missing; their names. Raises TopicsError when Kafka refuses."""
        topics = list(described)
        found = await self.found(topic.name for topic in topics)
        missing = [topic for topic in topics if topic.name not in found]
        if not missing:
            return []
        admin = self._started()
        brokers = (await admin.describe_cluster())["brokers"]
        replicas = min(_MOST_REPLICAS, len(brokers))
        response = await admin.create_topics([self._new(topic, replicas) for topic in missing])
        created = []
        for name, code, *message in response.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                said = (message[0] if message else None) or error.__name__
                raise TopicsError(f"{name}: Kafka did not create it: {said}")
            if not code:
                created.append(name)
        # Or whoever reads or writes one at once would be told that there is none.
        await self.missing(created)
        return created

    async def missing(self, names: Collection[str]) -> set[str]:
        """Those that Kafka lacks; a broker learns of a topic a moment after another has made it."""
        lacking = set(names)
        for wait_s in _SHOWN_WITHIN_S:
            if lacking:
                await asyncio.sleep(wait_s)
                lacking -= set(await self._started().list_topics())
        return lacking

    async def hidden(self, names: Collection[str]) -> set[str]:
        """Those that this user may not even ask about, whether or not they are there."""
        if not names:
            return set()
        described = await self._started().describe_topics(sorted(names))
        refused = TopicAuthorizationFailedError.errno
        return {topic["topic"] for topic in described if topic["error_code"] == refused}

    def _new(self, topic: DescribedTopic, replicas: int) -> NewTopic:
        return NewTopic(
            topic.name,
            topic.topic_partitions,
            replicas,
            topic_configs=topic.wanted_config(self._settings.max_message_bytes),
        )

    def _started(self) -> Any:
        assert self._admin is not None, "use it as an asynchronous context manager"  # noqa: S101
        return self._admin
