"""Reading and replaying dead letters; `messages/outgoing.py` writes them, headers included."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing
from dataclasses import dataclass

import structlog

from streamproc.errors import OperatorError
from streamproc.kafka.producer import Producer
from streamproc.kafka.topic_reader import newest_starts, read_topic
from streamproc.messages.outgoing import ERROR_PREFIX, LEFT_OUT, ORIGIN_PREFIX, ORIGINAL_ID
from streamproc.messages.record import ProducerRecord, Record
from streamproc.settings import Settings

# As large as Kafka has them: 32 and 64 bits.
_OFFSET_NAME = re.compile(r"[0-9]{1,9}:[0-9]{1,18}")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that was given up on, in its own words."""

    record: Record

    @property
    def offset_name(self) -> str:
        """`topic-partition:offset`, which tells it apart on its topic."""
        return f"{self.record.topic_partition}:{self.record.offset}"

    @property
    def request_id(self) -> str:
        """The id of the request, or where it lay when it had none."""
        return self._header(ERROR_PREFIX + "id")

    @property
    def type(self) -> str:
        """The kind of fault: unreadable, invalid or failed."""
        return self._header(ERROR_PREFIX + "type")

    @property
    def title(self) -> str:
        """The fault, the same words for each that has it."""
        return self._header(ERROR_PREFIX + "title")

    @property
    def detail(self) -> str:
        """What was wrong with this one."""
        damage = self.record.unreadable
        if damage is not None:
            return f"the dead letter itself can't be read: {damage}"
        return self._header(ERROR_PREFIX + "detail")

    @property
    def request_topic(self) -> str:
        """The topic that the request came by."""
        return self._header(ORIGIN_PREFIX + "topic")

    def summary(self) -> dict[str, str]:
        """Where it lies, whose it is, and what was wrong."""
        return {
            "offset": self.offset_name,
            "id": self.request_id,
            "type": self.type,
            "title": self.title,
            "detail": self.detail,
            "request_topic": self.request_topic,
        }

    @property
    def has_original(self) -> bool:
        """Whether it holds the original; not where that was too large for the topic, or damaged."""
        if self.record.unreadable is not None:
            return False
        # An event may have a header of that name among its own, and then it has its bytes, too.
        return self.record.header(LEFT_OUT) is None or self.record.value is not None

    def original(self, request_topics: Collection[str]) -> ProducerRecord:
        """The original bytes, key and headers, to be asked again under the same id.

        Raises OperatorError when it came by no described topic of requests.
        """
        if self.request_topic not in request_topics:
            raise OperatorError(
                f"dead letter {self.record.position} is of {self.request_topic!r}, which is not a "
                "described request topic; nothing was replayed to it"
            )
        ours = (ERROR_PREFIX, ORIGIN_PREFIX)
        kept = tuple(
            (name, value)
            for name, value in self.record.headers
            if not name.startswith(ours) and name != ORIGINAL_ID
        )
        original_id = (ORIGINAL_ID, self.request_id.encode())
        return ProducerRecord(
            self.request_topic, self.record.key, self.record.value, (*kept, original_id)
        )

    def _header(self, name: str) -> str:
        return (self.record.header(name) or b"").decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters; what is empty selects all.

    offsets: names as `DeadLetter.offset_name` gives them
    """

    ids: Collection[str] = ()
    offsets: Collection[str] = ()
    types: Collection[str] = ()

    def has(self, letter: DeadLetter) -> bool:
        """The letter is among those selected."""
        return (
            (not self.ids or letter.request_id in self.ids)
            and (not self.offsets or letter.offset_name in self.offsets)
            and (not self.types or letter.type in self.types)
        )


async def dead_letters(
    settings: Settings, topic: str, selection: Selection | None = None
) -> AsyncGenerator[DeadLetter, None]:
    """The dead letters of a topic, those of the moment reading began.

    Who leaves off before the end closes it (`aclosing`), and with it the connection to Kafka.
    """
    async with aclosing(read_topic(settings, topic)) as records:
        async for record in records:
            letter = DeadLetter(record)
            if selection is None or selection.has(letter):
                yield letter


async def newest_letters(settings: Settings, topic: str, most: int) -> tuple[int, list[DeadLetter]]:
    """How many a topic holds, and about the last `most` of them, the newest first."""
    count, starts = await newest_starts(settings, topic, most)
    async with aclosing(read_topic(settings, topic, starts)) as records:
        found = [DeadLetter(record) async for record in records]
    found.sort(key=lambda letter: letter.record.timestamp_ms, reverse=True)
    return count, found


async def dead_letter_at(settings: Settings, topic: str, offset_name: str) -> DeadLetter:
    """The dead letter at `topic-partition:offset`. Raises OperatorError when there is none."""
    if not _OFFSET_NAME.fullmatch(offset_name):
        raise OperatorError(f"{offset_name!r} is not a topic-partition:offset, such as 3:17")
    number, _, offset = offset_name.partition(":")
    start = {int(number): int(offset)}
    async with aclosing(read_topic(settings, topic, start)) as records:
        async for record in records:
            if record.offset == int(offset):
                return DeadLetter(record)
            break
    raise OperatorError(
        f"no dead letter at {offset_name} of {topic}; `streamproc dlq list` lists them"
    )


async def replay(
    settings: Settings,
    topic: str,
    selection: Selection,
    *,
    original: Callable[[DeadLetter], ProducerRecord],
    producer: Producer | None,
) -> AsyncGenerator[DeadLetter, None]:
    """Ask dead letters again, and give each out once it was. Without a producer, only give out.

    original: what is sent again
    Bounded by the end of the topic when it begins: a letter that fails again is not met twice.
    """
    async with aclosing(dead_letters(settings, topic, selection)) as letters:
        async for letter in letters:
            if not letter.has_original:
                _log.warning(
                    "dead letter has no original to replay", dead_letter=letter.offset_name
                )
                continue
            record = original(letter)
            if producer is not None:
                await producer.send(record)
            yield letter


async def at_most(
    letters: AsyncGenerator[DeadLetter, None], limit: int | None
) -> AsyncGenerator[DeadLetter, None]:
    """The first letters, and then an end to reading; None: all."""
    count = 0
    async with aclosing(letters):
        async for letter in letters:
            yield letter
            count += 1
            if count == limit:
                return
