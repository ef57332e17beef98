"""The way of an event: read, asked about, answers put into its bytes, published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, Final, Literal

import structlog

from streamproc.clock import Clock
from streamproc.enrichment.asking import AskedText, Asker, EventRefused, TaskAnswers
from streamproc.enrichment.conditions import all_hold
from streamproc.enrichment.dead_letters import event_dead_letter, without_event
from streamproc.enrichment.event import CloudEventsFormat, Event, EventFormat, JsonFormat
from streamproc.enrichment.json_pointer import Path, format_pointer
from streamproc.enrichment.key_order import KeyOrder, PlaceInLine
from streamproc.enrichment.placing import placed
from streamproc.enrichment.registry.wire_format import KEY_SCHEMA_ID, VALUE_SCHEMA_ID
from streamproc.enrichment.route import Route
from streamproc.errors import Invalid, TooLarge, Unreadable
from streamproc.messages.outgoing import TRACE_HEADERS
from streamproc.messages.problems import to_problem
from streamproc.messages.publishing import Publish
from streamproc.messages.record import Headers, ProducerRecord, Record
from streamproc.messages.response import Problem
from streamproc.metrics import Metrics
from streamproc.tracing.tracer import NO_TRACER, Tracer

OWN_HEADERS: Final = ("streamproc-route", "streamproc-source-")
# What goes on in any case: whose trace it is, and which schemas value and key have.
_ALWAYS_KEPT: Final = (*TRACE_HEADERS, VALUE_SCHEMA_ID, KEY_SCHEMA_ID)

Outcome = Literal["enriched", "unmatched", "tombstone", "dead-letter"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Enriched:
    """An event that has been through a route.

    value: its bytes with answers; None for a tombstone
    headers: the record's, saying the schema that the value has now
    states, put: what became of each answer; what was put in, by place
    details: why answers failed, in words
    """

    outcome: Outcome
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    states: Mapping[str, str] = field(default_factory=dict)
    put: Mapping[Path, Any] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)


class Enricher:
    """Puts the answers of one route into its events; many at a time."""

    def __init__(
        self,
        route: Route,
        answers: Mapping[str, TaskAnswers],
        publish: Publish,
        *,
        clock: Clock,
        metrics: Metrics,
        events: EventFormat | None = None,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        """answers: what answers requests, by task; events: None, as the route says, no schemas"""
        self.route = route
        self._events = events or _without_schemas(route)
        self._asker = Asker(route, answers)
        self._order = KeyOrder()
        self._publish = publish
        self._clock = clock
        self._tracer = tracer
        # Looked up once: finding a metric by its labels costs more than counting.
        self._seconds = metrics.route_seconds.labels(route.name)
        self._event_counter = cache(partial(metrics.route_events.labels, route.name))
        self._answer_counter = cache(partial(metrics.route_answers.labels, route.name))

    async def __call__(self, record: Record) -> None:
        """The whole way of one event; returns once what became of it is stored."""
        started_s = self._clock.monotonic_s()
        with self._order.place(record) as place:
            outcome = await self._finish(record, place)
        self._event_counter(outcome).inc()
        self._tracer.outcome(outcome)
        self._seconds.observe(self._clock.monotonic_s() - started_s, self._tracer.exemplar())

    async def _finish(self, record: Record, place: PlaceInLine) -> Outcome:
        """Publish what becomes of an event, once those of its key before it are published."""
        try:
            enriched = await self.enrich(record)
        except Invalid as reason:
            await place.turn()
            await self._dead_letter(record, to_problem(reason))
            return "dead-letter"
        await place.turn()
        try:
            if enriched.outcome != "unmatched" or self.route.unmatched == "forward":
                await self._publish(self._record(record, enriched))
        except Invalid as reason:
            await self._dead_letter(record, to_problem(reason))
            return "dead-letter"
        for name, state in enriched.states.items():
            self._answer_counter(name, state).inc()
        return enriched.outcome

    async def refuse(self, record: Record, title: str, detail: str) -> None:
        """Give up on an event that can't be handled: a dead letter.

        title, detail: why; nothing that the event holds
        """
        await self._dead_letter(record, Problem("failed", title, detail))
        self._event_counter("dead-letter").inc()

    async def enrich(self, record: Record) -> Enriched:
        """The event with answers; raises Invalid where it has to be a dead letter."""
        if record.unreadable is not None:
            raise Unreadable("damaged record", f"{record.unreadable}; only its offset is known")
        if record.value is None:
            return Enriched("tombstone", record.key, None, record.headers)
        event = await self._events.open(record)
        if not all_hold(self.route.when, event):
            return Enriched("unmatched", record.key, record.value, record.headers)
        answered = await self._asker.ask(event, record)
        value, put = placed(self.route, event, answered)
        states = {name: one.state for name, one in answered.items()}
        headers = event.headers(record.headers)
        key = self._key(record.key, value, event)
        details = {name: one.detail for name, one in answered.items() if one.detail}
        return Enriched("enriched", key, value, headers, states, put, details)

    async def questions(self, record: Record) -> list[AskedText]:
        """What would be asked about an event; raises Invalid as `enrich` does."""
        if record.value is None:
            return []
        event = await self._events.open(record)
        return self._asker.texts_of(event) if all_hold(self.route.when, event) else []

    def _key(self, own: bytes | None, value: bytes, event: Event) -> bytes | None:
        path = self.route.to.key_path
        if path is None:
            return own
        found = event.again(value)
        key = next((one.value for one in found.find(path)), None)
        if key is None:
            raise EventRefused("no key", f"there is nothing at {format_pointer(path)}")
        if not isinstance(key, str):
            return found.json_at(path)
        try:
            return key.encode()
        except UnicodeEncodeError:
            where = format_pointer(path)
            raise EventRefused("no key", f"half of a surrogate pair at {where}") from None

    def _record(self, record: Record, enriched: Enriched) -> ProducerRecord:
        return ProducerRecord(
            self.route.to.topic,
            enriched.key,
            enriched.value,
            self._headers(record, enriched.headers),
            timestamp_ms=record.timestamp_ms,
            continues_trace=True,
            instead=partial(self._given_up, record),
        )

    def _headers(self, record: Record, own: Headers) -> Headers:
        everything = self.route.to.headers == "same"
        # A key that was found in the event is text.
        dropped = () if self.route.to.key_path is None else (KEY_SCHEMA_ID,)
        kept = (
            (name, value)
            for name, value in own
            if ((everything and not name.startswith(OWN_HEADERS)) or name in _ALWAYS_KEPT)
            and name not in dropped
        )
        return (
            *kept,
            ("streamproc-route", self.route.name.encode()),
            ("streamproc-source-topic", record.topic.encode()),
            ("streamproc-source-partition", str(record.topic_partition).encode()),
            ("streamproc-source-offset", str(record.offset).encode()),
        )

    def _given_up(self, record: Record, reason: Invalid) -> ProducerRecord:
        """The dead letter of an event that was enriched, and whose topic refuses it later."""
        self._event_counter("dead-letter").inc()
        letter = self._letter(record, to_problem(reason))

        def instead(reason: Invalid) -> ProducerRecord:
            return without_event(letter) if isinstance(reason, TooLarge) else letter

        return replace(letter, instead=instead)

    def _letter(self, record: Record, problem: Problem) -> ProducerRecord:
        log.warning(
            "dead letter", route=self.route.name, position=record.position,
            type=problem.type, title=problem.title,
        )  # fmt: skip
        return event_dead_letter(record, problem, self.route)

    async def _dead_letter(self, record: Record, problem: Problem) -> None:
        letter = self._letter(record, problem)
        try:
            await self._publish(letter)
        except TooLarge:
            await self._publish(without_event(letter))


def _without_schemas(route: Route) -> EventFormat:
    return CloudEventsFormat() if route.from_.format == "cloudevents" else JsonFormat()
