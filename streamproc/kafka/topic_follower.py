"""Reading a topic from its beginning, and then on as records come."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final, NamedTuple, NoReturn

import structlog

from streamproc.clock import Clock
from streamproc.errors import OperatorError, TopicsError
from streamproc.kafka.backoff import backoff_s
from streamproc.kafka.topic_reader import as_record, reader, topic_partitions_of
from streamproc.messages.record import Record
from streamproc.settings import Settings

FOLLOW_WAIT_MS: Final = 1_000
LOOK_AGAIN_S: Final = 30.0
"""Until a topic that is not there is looked for again."""

_log = structlog.get_logger(__name__)


class Followed(NamedTuple):
    """What has come since the last time, maybe nothing.

    is_whole: all that was there when reading began has come
    """

    records: list[Record]
    is_whole: bool


async def follow_topic(
    settings: Settings, topic: str, wait_ms: int = 500
) -> AsyncGenerator[Followed, None]:
    """All records, by topic-partition in order, without end; at least every `wait_ms`.

    Raises OperatorError when no broker answers or reading fails, TopicsError without the topic.
    """
    async with reader(settings, fetch_max_wait_ms=wait_ms) as consumer:
        tps = await topic_partitions_of(consumer, topic)
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        await consumer.seek_to_beginning(*tps)
        while True:
            batches = await consumer.getmany(timeout_ms=wait_ms)
            # Compaction may have left less than there was: positions tell it, not records.
            positions = {tp: await consumer.position(tp) for tp in tps}
            yield Followed(
                [as_record(message) for found in batches.values() for message in found],
                is_whole=all(positions[tp] >= ends[tp] for tp in tps),
            )


async def keep_reading(
    topic: str,
    read: Callable[[], Awaitable[NoReturn]],
    clock: Clock,
    *,
    unread: str,
    without_topic: Callable[[], object],
) -> NoReturn:
    """Read until cancelled; what goes wrong is said in the log once, and tried again.

    read: follows the topic anew, until it raises
    unread: what the log says while the topic can't be read
    without_topic: called when there is none; whoever makes it later is heard then
    """
    said: str | None = None
    waits = backoff_s()
    while True:
        try:
            await read()
        except TopicsError as error:
            without_topic()
            reason, wait_s = str(error), LOOK_AGAIN_S
        except OperatorError as error:
            reason, wait_s = str(error), next(waits)
        except Exception as error:  # noqa: BLE001 - Kafka's client may raise anything
            reason, wait_s = f"{type(error).__name__}: {error}", next(waits)
        if reason != said:
            _log.warning(unread, topic=topic, reason=reason)
        said = reason
        await clock.sleep(wait_s)
