"""A compacted topic that holds the last that was said of each thing of a group: read, followed.

Its keys are `<group>/<name>`, and a tombstone takes back what was said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Final, Generic, NoReturn, Protocol, TypeVar

import structlog

from streamproc.clock import Clock
from streamproc.errors import BrokerUnavailable, OperatorError
from streamproc.kafka.producer import Producer
from streamproc.kafka.refusals import no_kafka
from streamproc.kafka.topic_follower import FOLLOW_WAIT_MS, follow_topic, keep_reading
from streamproc.kafka.topic_reader import read_topic
from streamproc.messages.record import ProducerRecord, Record
from streamproc.settings import Settings

STORE_TIMEOUT_S: Final = 30.0

_log = structlog.get_logger(__name__)


class Entry(Protocol):
    """What is said of one thing."""

    @property
    def key(self) -> bytes:
        """That of its record."""
        ...

    def encode(self) -> bytes:
        """The value of its record."""
        ...


EntryT = TypeVar("EntryT", bound=Entry)


class GroupTable(Generic[EntryT]):
    """The last entry for each name of a group, of the records that were taken."""

    def __init__(self, group: str, read: Callable[[bytes | None], EntryT | None]) -> None:
        """read: the entry in a record's value; None: it is none"""
        self._prefix = f"{group}/".encode()
        self._read = read
        self.by_name: dict[str, EntryT] = {}

    def take(self, record: Record) -> None:
        """A record of the topic: an entry, or that there is none any more."""
        key = record.key or b""
        name = key.removeprefix(self._prefix).decode("utf-8", "replace")
        if not key.startswith(self._prefix) or "/" in name:
            return
        entry = self._read(record.value)
        if entry is not None and entry.key == key:
            self.by_name[name] = entry
        elif record.value is None:
            self.by_name.pop(name, None)
        else:
            _log.warning("record passed over, as it can't be read", position=record.position)


async def read_table(
    settings: Settings, topic: str, table: GroupTable[EntryT]
) -> dict[str, EntryT]:
    """What a topic says now, by name, in a table that is empty before.

    Raises OperatorError when no broker answers, TopicsError without the topic.
    """
    async with aclosing(read_topic(settings, topic)) as records:
        async for record in records:
            table.take(record)
    return table.by_name


async def store_entry(settings: Settings, topic: str, entry: Entry, clock: Clock) -> None:
    """Tell all workers of the group; returns once Kafka has stored it. Raises OperatorError."""
    producer = Producer(settings, clock)
    try:
        async with asyncio.timeout(STORE_TIMEOUT_S):
            await producer.start()
            await producer.send(ProducerRecord(topic, entry.key, entry.encode(), ()))
    except TimeoutError:
        raise OperatorError(f"{topic}: no broker has stored the record in time") from None
    except BrokerUnavailable as error:
        raise await no_kafka(settings, error) from None
    finally:
        await producer.stop()


class GroupFeed(Generic[EntryT]):
    """Follows such a topic for as long as a worker runs, whatever is away meanwhile."""

    def __init__(
        self,
        settings: Settings,
        topic: str,
        clock: Clock,
        table: Callable[[], GroupTable[EntryT]],
        tell: Callable[[Mapping[str, EntryT]], object],
        unread: str,
    ) -> None:
        """table: makes an empty one, whenever reading begins
        tell: is handed all entries, by name, whenever there is news
        unread: what the log says while the topic can't be read
        """
        self._settings = settings
        self._topic = topic
        self._clock = clock
        self._table = table
        self._tell = tell
        self._unread = unread
        self.caught_up = asyncio.Event()
        """All that was said before the worker began has been told; or nothing can be."""
        self.has_told = False

    async def follow(self) -> NoReturn:
        """Read until cancelled, whatever goes wrong meanwhile."""
        await keep_reading(
            self._topic,
            self._read,
            self._clock,
            unread=self._unread,
            # Without the topic nothing is said.
            without_topic=self.caught_up.set,
        )

    async def _read(self) -> NoReturn:
        table = self._table()
        follower = follow_topic(self._settings, self._topic, FOLLOW_WAIT_MS)
        is_first = True
        async with aclosing(follower) as followed:
            async for records, is_whole in followed:
                for record in records:
                    table.take(record)
                # What stands further on may take back what was read first.
                if is_whole and (records or is_first):
                    is_first = False
                    self._tell(dict(table.by_name))
                    self.has_told = True
                    self.caught_up.set()
        raise AssertionError("unreachable: a topic is followed without end")
