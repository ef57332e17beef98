"""A Kafka record as it arrived, and one to be sent; free of any client library's types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import NamedTuple, Self

from streamproc.errors import Invalid
from streamproc.frozen import frozen

Headers = tuple[tuple[str, bytes | None], ...]
"""In order; Kafka takes a name more than once, and null for a value."""


class UnreadableValue(bytes):
    """The value of a record that Kafka's client could not read; empty.

    reason: a clause that quotes nothing of the record
    """

    reason: str

    def __new__(cls, reason: str) -> Self:
        """With its reason."""
        value = super().__new__(cls)
        value.reason = reason
        return value


class TopicPartition(NamedTuple):
    """One topic-partition; a tuple, as it is looked up by several times for each record."""

    topic: str
    topic_partition: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.topic_partition}"


@frozen()
class Record:
    """A record as consumed: key, value, headers, position and timestamp.

    timestamp_ms: milliseconds since the epoch, as Kafka stored it
    """

    topic: str
    topic_partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def position(self) -> str:
        """Where the record lies: `topic:topic-partition:offset`."""
        return f"{self.topic}:{self.topic_partition}:{self.offset}"

    @property
    def unreadable(self) -> str | None:
        """Why Kafka's client could not read the record; then only its position is known."""
        return self.value.reason if isinstance(self.value, UnreadableValue) else None

    @property
    def size_bytes(self) -> int:
        """Bytes of key, value and headers."""
        return len(self.value or b"") + self.kept_bytes

    @property
    def kept_bytes(self) -> int:
        """Bytes of key and headers, which its response or dead letter has, too."""
        size = len(self.key or b"")
        for name, value in self.headers:
            size += len(name) + len(value or b"")
        return size

    def header(self, name: str) -> bytes | None:
        """The last header of that name; None where there is none, or its value is null.

        Names of headers are compared as they are.
        """
        found = None
        for key, value in self.headers:
            if key == name:
                found = value
        return found


@frozen()
class ProducerRecord:
    """A record to be sent.

    is_last_resort: there is no smaller record to send instead, and it must not be lost
    instead: what is sent in its place where its topic takes none like it, given the reason; None:
        it is tried until it is taken
    topic_partition: where it goes; None, or one that the topic lacks: where its key leads to
    ordered_by: what chooses its topic-partition where it has no key; None: chance
    timestamp_ms: milliseconds since the epoch; None: when it is sent
    continues_trace: its headers name a trace because it is part of one; not those of a dead
        letter, which are somebody else's
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = field(default=())
    is_last_resort: bool = False
    timestamp_ms: int | None = None
    continues_trace: bool = False
    topic_partition: int | None = None
    ordered_by: bytes | None = None
    instead: Callable[[Invalid], ProducerRecord] | None = field(default=None, compare=False)

    @property
    def size_bytes(self) -> int:
        """Bytes of key, value and headers, and what a record has beside them at most."""
        size = len(self.key or b"") + len(self.value or b"") + 128
        for name, value in self.headers:
            size += len(name.encode()) + len(value or b"") + 8
        return size
