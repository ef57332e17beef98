"""Topics that take no records at the moment: why, and who may try."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import structlog

from streamproc.kafka.backoff import backoff_s

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Topic:
    missing: str | None = None
    failing: dict[object, str] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waits: Iterator[float] | None = None
    told: str | None = None


class TopicTroubles:
    """What is wrong with which topic, said once in the log until it changes."""

    def __init__(self) -> None:
        self._topics: defaultdict[str, _Topic] = defaultdict(_Topic)

    def __contains__(self, topic: object) -> bool:
        return isinstance(topic, str) and self.reason(topic) is not None

    def reasons(self) -> Mapping[str, str]:
        """What is wrong, by topic."""
        found = ((name, self.reason(name)) for name in sorted(self._topics))
        return {name: reason for name, reason in found if reason is not None}

    def reason(self, topic: str) -> str | None:
        """What is wrong with a topic; None: nothing is."""
        known = self._topics.get(topic)
        if known is None:
            return None
        return known.missing or next(iter(known.failing.values()), None)

    def looked_up(self, topics: Iterable[str], missing: Mapping[str, str]) -> None:
        """What the brokers say of topics: those that can't be had, each with the reason."""
        for name in topics:
            if name in missing or name in self._topics:
                self._topics[name].missing = missing.get(name)
                self._tell(name)

    def failed(self, topic: str, sender: object, reason: str) -> float:
        """A sender's record was not taken; the seconds to wait until it may be tried again."""
        known = self._topics[topic]
        known.failing[sender] = reason
        known.waits = known.waits or backoff_s()
        self._tell(topic)
        return next(known.waits)

    def stored(self, topic: str) -> None:
        """A record was taken: others need not wait as long any more."""
        if topic in self._topics:
            self._topics[topic].waits = None

    def takes_records(self, topic: str) -> bool:
        """The last record was taken."""
        known = self._topics.get(topic)
        return known is None or known.waits is None

    def gone(self, topic: str, sender: object) -> None:
        """A sender's record was taken, or it gave up."""
        if topic in self._topics:
            self._topics[topic].failing.pop(sender, None)
            self._tell(topic)

    def turn(self, topic: str) -> asyncio.Lock:
        """Held by the one sender of a topic in trouble that tries; the others wait for it."""
        return self._topics[topic].lock

    def _tell(self, topic: str) -> None:
        known, reason = self._topics[topic], self.reason(topic)
        if reason == known.told:
            return
        known.told = reason
        if reason is None:
            _log.warning("topic accepts records again", topic=topic)
        else:
            _log.error("topic rejects records", topic=topic, reason=reason)
