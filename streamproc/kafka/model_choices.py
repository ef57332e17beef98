"""The topic of models: which versions are chosen, read, stored, and followed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Final, NoReturn

import structlog

from streamproc.clock import Clock
from streamproc.errors import BrokerUnavailable, OperatorError, TopicsError
from streamproc.kafka.backoff import backoff_s
from streamproc.kafka.producer import Producer
from streamproc.kafka.security import no_kafka
from streamproc.kafka.topic_follower import follow_topic
from streamproc.kafka.topic_reader import read_topic
from streamproc.messages.model_choice import ModelChoice, read_choice
from streamproc.messages.record import ProducerRecord, Record
from streamproc.settings import Settings

STORE_TIMEOUT_S: Final = 30.0
LOOK_AGAIN_S: Final = 30.0
"""Until a topic that is not there is looked for again."""
FOLLOW_WAIT_MS: Final = 1_000

_log = structlog.get_logger(__name__)


class ModelChoices:
    """The last choice for each ensemble of a group, of the records that were taken."""

    def __init__(self, group: str) -> None:
        self._prefix = f"{group}/".encode()
        self.by_ensemble: dict[str, ModelChoice] = {}

    def take(self, record: Record) -> None:
        """A record of the topic: a choice, or that there is none any more."""
        key = record.key or b""
        name = key.removeprefix(self._prefix).decode("utf-8", "replace")
        if not key.startswith(self._prefix) or "/" in name:
            return
        choice = read_choice(record.value)
        if choice is not None and choice.key == key:
            self.by_ensemble[name] = choice
        elif record.value is None:
            self.by_ensemble.pop(name, None)
        else:
            _log.warning("choice of a model version passed over", position=record.position)


async def read_choices(settings: Settings, topic: str) -> dict[str, ModelChoice]:
    """What is chosen for the group of the settings, by ensemble.

    Raises OperatorError when no broker answers, TopicsError without the topic.
    """
    choices = ModelChoices(settings.group_id)
    async with aclosing(read_topic(settings, topic)) as records:
        async for record in records:
            choices.take(record)
    return choices.by_ensemble


async def store_choice(settings: Settings, topic: str, choice: ModelChoice, clock: Clock) -> None:
    """Tell all workers of the group; returns once Kafka has stored it. Raises OperatorError."""
    producer = Producer(settings, clock)
    try:
        async with asyncio.timeout(STORE_TIMEOUT_S):
            await producer.start()
            await producer.send(ProducerRecord(topic, choice.key, choice.encode(), ()))
    except TimeoutError:
        raise OperatorError(f"{topic}: no broker has stored the choice in time") from None
    except BrokerUnavailable as error:
        raise OperatorError(no_kafka(settings, error)) from None
    finally:
        await producer.stop()


class ChoiceFeed:
    """Follows the topic of models for as long as a worker runs, whatever is away meanwhile."""

    def __init__(
        self,
        settings: Settings,
        topic: str,
        clock: Clock,
        tell: Callable[[Mapping[str, ModelChoice]], object],
    ) -> None:
        """tell: is handed all choices, by ensemble, whenever there is news"""
        self._settings = settings
        self._topic = topic
        self._clock = clock
        self._tell = tell
        self.caught_up = asyncio.Event()
        """All that was chosen before the worker began has been told; or nothing can be."""
        self.has_told = False

    async def follow(self) -> NoReturn:
        """Read until cancelled; what goes wrong is said in the log once, and tried again."""
        said: str | None = None
        waits = backoff_s()
        while True:
            try:
                await self._read()
            except TopicsError as error:
                # Without the topic nothing is chosen; whoever makes it later is heard then.
                self.caught_up.set()
                reason, wait_s = str(error), LOOK_AGAIN_S
            except OperatorError as error:
                reason, wait_s = str(error), next(waits)
            except Exception as error:  # noqa: BLE001 - Kafka's client may raise anything
                reason, wait_s = f"{type(error).__name__}: {error}", next(waits)
            if reason != said:
                _log.warning("promoted versions can't be read", topic=self._topic, reason=reason)
            said = reason
            await self._clock.sleep(wait_s)

    async def _read(self) -> NoReturn:
        choices = ModelChoices(self._settings.group_id)
        follower = follow_topic(self._settings, self._topic, FOLLOW_WAIT_MS)
        is_first = True
        async with aclosing(follower) as followed:
            async for records, is_whole in followed:
                for record in records:
                    choices.take(record)
                # What stands further on may take back what was read first.
                if is_whole and (records or is_first):
                    is_first = False
                    self._tell(dict(choices.by_ensemble))
                    self.has_told = True
                    self.caught_up.set()
        raise AssertionError("unreachable: a topic is followed without end")
