"""Topics as channels: which messages each has, and what streamproc does with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from streamproc.kafka.topic_drift import DescribedTopic
from streamproc.offline.asyncapi.components import ref
from streamproc.settings import Settings

KAFKA_BINDING: Final = "0.5.0"
"""The version of AsyncAPI's bindings of Kafka."""


class Channels:
    """Channels and operations. A topic that several write or read is one channel."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.channels: dict[str, Any] = {}
        self.operations: dict[str, Any] = {}

    def add(
        self,
        topic: str,
        description: str,
        messages: Sequence[str],
        described: DescribedTopic | None = None,
    ) -> None:
        """A topic with the names of its messages; described: None of one that is somebody's own."""
        channel = self.channels.setdefault(topic, {"address": topic, "description": description})
        channel.setdefault("messages", {}).update({one: ref("messages", one) for one in messages})
        if described is not None:
            channel["bindings"] = {"kafka": self._binding(described)}

    def receives(
        self,
        name: str,
        topic: str,
        summary: str,
        messages: Sequence[str],
        reply: tuple[str, Sequence[str]] | None = None,
    ) -> None:
        """That streamproc reads a topic; reply: the topic that it answers by, and with what."""
        operation = self._operation("receive", topic, summary, messages)
        group = {"type": "string", "enum": [self._settings.group_id]}
        operation["bindings"] = {"kafka": {"groupId": group, "bindingVersion": KAFKA_BINDING}}
        if reply is not None:
            operation["reply"] = _channel_messages(*reply)
        self.operations[name] = operation

    def sends(self, name: str, topic: str, summary: str, messages: Sequence[str]) -> None:
        """That streamproc writes to a topic."""
        self.operations[name] = self._operation("send", topic, summary, messages)

    def _operation(
        self, action: str, topic: str, summary: str, messages: Sequence[str]
    ) -> dict[str, Any]:
        return {"action": action, "summary": summary, **_channel_messages(topic, messages)}

    def _binding(self, described: DescribedTopic) -> dict[str, Any]:
        config: dict[str, Any] = {}
        for name, value in described.wanted_config(self._settings.max_message_bytes).items():
            config[name] = int(value) if value.lstrip("-").isdigit() else value
            if name == "cleanup.policy":
                config[name] = value.split(",")
        return {
            "topic": described.name,
            "partitions": described.topic_partitions,
            "topicConfiguration": config,
            "bindingVersion": KAFKA_BINDING,
        }


def _channel_messages(topic: str, messages: Sequence[str]) -> dict[str, Any]:
    return {
        "channel": {"$ref": f"#/channels/{topic}"},
        "messages": [{"$ref": f"#/channels/{topic}/messages/{one}"} for one in messages],
    }
