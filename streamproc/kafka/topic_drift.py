"""How the topics that Kafka has differ from those described; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol


class DescribedTopic(Protocol):
    """A topic as it should be; of the catalogue, or a route's."""

    @property
    def name(self) -> str: ...
    @property
    def topic_partitions(self) -> int: ...
    def wanted_config(self, max_message_bytes: int) -> dict[str, str]:
        """The settings that Kafka should have for it, in Kafka's names."""
        ...


@dataclass(frozen=True, slots=True)
class FoundTopic:
    """A topic as Kafka has it; `config` in Kafka's names."""

    name: str
    topic_partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference; `found` is None where there is nothing at all."""

    topic: str
    what: str
    described: str
    found: str | None


def drift(
    described: Iterable[DescribedTopic], found: Mapping[str, FoundTopic], max_message_bytes: int
) -> list[Drift]:
    """Every difference, in the order of the descriptions; a missing topic is one difference."""
    differences = []
    for topic in described:
        there = found.get(topic.name)
        if there is None:
            differences.append(Drift(topic.name, "topic", "exists", None))
            continue
        if there.topic_partitions != topic.topic_partitions:
            wanted, has = str(topic.topic_partitions), str(there.topic_partitions)
            differences.append(Drift(topic.name, "topic-partitions", wanted, has))
        for setting, wanted in topic.wanted_config(max_message_bytes).items():
            value = there.config.get(setting)
            if value != wanted:
                differences.append(Drift(topic.name, setting, wanted, value))
    return differences
