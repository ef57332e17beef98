"""The way of an event: read, asked about, answers put into its bytes, published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, Protocol

import orjson
import structlog

from streamproc.clock import Clock
from streamproc.enrichment.conditions import all_hold
from streamproc.enrichment.dead_letters import event_dead_letter
from streamproc.enrichment.json_event import CannotPlace, Found, JsonEvent
from streamproc.enrichment.json_pointer import Path, format_pointer, parse_pointer
from streamproc.enrichment.redaction import Mask, masked, masks_of
from streamproc.enrichment.route import AnswerSpec, Redaction, Route
from streamproc.enrichment.together import run_together
from streamproc.errors import Invalid, TooLarge, Unreadable
from streamproc.messages.cloudevents import Envelope, Form
from streamproc.messages.outgoing import without_original
from streamproc.messages.problems import to_problem
from streamproc.messages.publishing import Publish
from streamproc.messages.record import Headers, ProducerRecord, Record
from streamproc.messages.request import Request
from streamproc.messages.response import Problem, Response
from streamproc.metrics import Metrics

OWN_HEADERS: Final = ("streamproc-route", "streamproc-source-")
_TRACE: Final = ("traceparent", "tracestate")
# A result of one thing that people want, beside what tells how it came about.
_MAIN_FIELD: Final = {"token-classification": "entities", "translation": "translation_text"}
_NOT_TEXT: Final = Problem("invalid", "not a text", "the value is no string")

Outcome = Literal["enriched", "unmatched", "tombstone", "dead-letter"]

log = structlog.get_logger(__name__)


class Answerer(Protocol):
    """What answers the requests of one task."""

    async def answer(self, request: Request) -> Response:
        """The response; raises WorkerFault only where the worker can't go on."""
        ...

    def digest(self, ensemble: str) -> str:
        """Of the manifest that an ensemble answers under; raises Invalid when there is none."""
        ...

    def count_tokens(self, ensemble: str, text: str) -> int:
        """How many tokens a text has for an ensemble, special tokens not counted."""
        ...


class AskedText(NamedTuple):
    """A text of an event that would be asked about, and what it is long in tokens."""

    answer: str
    ensemble: str
    pointer: str
    tokens: int


class EventRefused(Invalid):
    """The event as a whole is a dead letter, as an answer's `on_error` or `on_missing` says."""


@dataclass(slots=True)
class _Answered:
    """What became of one answer.

    values: what is put into the event
    masks:  what its redaction hides; None where that is not known
    """

    state: Literal["ok", "skipped", "failed"]
    values: dict[Path, Any] = field(default_factory=dict)
    reason: str = ""
    masks: list[Mask] | None = None


@dataclass(frozen=True, slots=True)
class Enriched:
    """An event that has been through a route.

    value: its bytes with answers; None for a tombstone
    put:   what was put in, by place
    """

    outcome: Outcome
    key: bytes | None
    value: bytes | None
    states: Mapping[str, str] = field(default_factory=dict)
    put: Mapping[Path, Any] = field(default_factory=dict)


class Enricher:
    """Puts the answers of one route into its events; many at a time."""

    def __init__(
        self,
        route: Route,
        answerers: Mapping[str, Answerer],
        publish: Publish,
        *,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """answerers: by task"""
        self.route = route
        self._answerers = answerers
        self._publish = publish
        self._clock = clock
        self._metrics = metrics

    async def __call__(self, record: Record) -> None:
        """The whole way of one event; returns once what became of it is stored."""
        started_s = self._clock.monotonic_s()
        try:
            enriched = await self.enrich(record)
            if enriched.outcome != "unmatched" or self.route.unmatched == "forward":
                await self._publish(self._record(record, enriched))
            outcome: str = enriched.outcome
            for name, state in enriched.states.items():
                self._metrics.route_answers.labels(self.route.name, name, state).inc()
        except Invalid as reason:
            await self._dead_letter(record, to_problem(reason))
            outcome = "dead-letter"
        self._metrics.route_events.labels(self.route.name, outcome).inc()
        self._metrics.route_seconds.labels(self.route.name).observe(
            self._clock.monotonic_s() - started_s
        )

    async def refuse(self, record: Record, title: str, detail: str) -> None:
        """Give up on an event that can't be handled: a dead letter.

        title, detail: why; nothing that the event holds
        """
        await self._dead_letter(record, Problem("failed", title, detail))
        self._metrics.route_events.labels(self.route.name, "dead-letter").inc()

    async def enrich(self, record: Record) -> Enriched:
        """The event with answers; raises Invalid where it has to be a dead letter."""
        if record.unreadable is not None:
            raise Unreadable("damaged record", f"{record.unreadable}; only its offset is known")
        if record.value is None:
            return Enriched("tombstone", record.key, None)
        event = JsonEvent(record.value, root=self._root(record))
        if not all_hold(self.route.when, event):
            return Enriched("unmatched", record.key, record.value)
        answered = await self._answered(event, record)
        put = self._placed(event, answered)
        value = event.with_values(_as_json(put))
        states = {name: one.state for name, one in answered.items()}
        return Enriched("enriched", self._key(record, value), value, states, put)

    def questions(self, record: Record) -> list[AskedText]:
        """What would be asked about an event; raises Invalid as `enrich` does."""
        if record.value is None:
            return []
        event = JsonEvent(record.value, root=self._root(record))
        if not all_hold(self.route.when, event):
            return []
        return [
            AskedText(
                spec.name,
                spec.ensemble,
                format_pointer(found.path),
                self._answerers[spec.task].count_tokens(spec.ensemble, found.value),
            )
            for spec in self.route.answers
            for found in self._texts(event, spec)
            if isinstance(found.value, str)
        ]

    def _root(self, record: Record) -> Path:
        if self.route.from_.format == "json":
            return ()
        envelope = Envelope.open(record).envelope
        if envelope.form is Form.PLAIN:
            raise Unreadable("not a CloudEvent", "it has neither ce_specversion nor specversion")
        return ("data",) if envelope.form is Form.STRUCTURED else ()

    async def _answered(self, event: JsonEvent, record: Record) -> dict[str, _Answered]:
        done = self._done_before(event)
        asked = [spec for spec in self.route.answers if spec.name not in done]
        results = await run_together([self._ask(spec, event, record) for spec in asked])
        answered = dict(zip((spec.name for spec in asked), results, strict=True))
        return {spec.name: answered.get(spec.name, _Answered("ok")) for spec in self.route.answers}

    def _done_before(self, event: JsonEvent) -> frozenset[str]:
        """The answers that the event already has, of the manifests that would answer now."""
        if not self.route.skip_if_done or self.route.meta is None:
            return frozenset()
        meta = next((found.value for found in event.find(self.route.meta)), None)
        if not isinstance(meta, dict):
            return frozenset()
        finished, manifests = meta.get("ok"), meta.get("manifests")
        if not isinstance(finished, list) or not isinstance(manifests, dict):
            return frozenset()
        done = {
            spec.name
            for spec in self.route.answers
            if spec.name in finished and manifests.get(spec.name) == self._digest(spec)
        }
        # A masked text is made of all answers that have a say in it, or stays as it is.
        asked_anew = {
            spec.redact.to
            for spec in self.route.answers
            if spec.redact is not None and spec.name not in done
        }
        return frozenset(
            spec.name
            for spec in self.route.answers
            if spec.name in done and (spec.redact is None or spec.redact.to not in asked_anew)
        )

    def _digest(self, spec: AnswerSpec) -> str:
        return self._answerers[spec.task].digest(spec.ensemble)

    def _texts(self, event: JsonEvent, spec: AnswerSpec) -> list[Found]:
        found = [one for path in spec.sources for one in event.find(path)]
        return [one for one in found if one.value is not None]

    async def _ask(self, spec: AnswerSpec, event: JsonEvent, record: Record) -> _Answered:
        """One answer, of one or of several texts."""
        texts = self._texts(event, spec)
        question = self._question(spec, event)
        if not texts or (spec.question is not None and question is None):
            return self._missing(spec)
        responses = await run_together(
            [self._ask_about(spec, question, found, record) for found in texts]
        )
        failures = [one for one in responses if isinstance(one, Problem)]
        if failures and spec.on_error == "dlq":
            first = failures[0]
            raise EventRefused(f"answer {spec.name}: {first.title}", first.detail)
        answered = _Answered("failed" if failures else "ok")
        answered.reason = failures[0].type if failures else ""
        together: dict[str, Any] = {}
        for found, response in zip(texts, responses, strict=True):
            if isinstance(response, Problem) and spec.on_error != "default":
                continue
            value = spec.default if isinstance(response, Problem) else shaped(spec, response)
            if spec.is_beside:
                answered.values[(*found.path[:-1], spec.to)] = value
            elif spec.has_many:
                together[format_pointer(found.path)] = value
            else:
                answered.values[parse_pointer(spec.to)] = value
        if together:
            answered.values[parse_pointer(spec.to)] = together
        if spec.redact is not None:
            answered.masks = _masks(spec.redact, texts, responses)
        return answered

    async def _ask_about(
        self, spec: AnswerSpec, question: str | None, found: Found, record: Record
    ) -> Response | Problem:
        if not isinstance(found.value, str):
            return _NOT_TEXT
        inputs: dict[str, Any] = {"text": found.value}
        if question is not None:
            inputs = {"question": question, "context": found.value}
        within = format_pointer(found.path) if spec.has_many else ""
        deadline_ms = self.route.deadline_ms
        request = Request(
            id=f"{record.position}/{spec.name}{within}",
            ensemble=spec.ensemble,
            inputs=inputs,
            given=inputs.keys(),
            params=spec.params,
            deadline_at_ms=None if deadline_ms is None else record.timestamp_ms + deadline_ms,
            metadata=None,
            envelope=Envelope(Form.PLAIN),
        )
        response = await self._answerers[spec.task].answer(request)
        return response if response.error is None else response.error

    def _question(self, spec: AnswerSpec, event: JsonEvent) -> str | None:
        if spec.question is None or not spec.question.startswith("/"):
            return spec.question
        found = next((one.value for one in event.find(parse_pointer(spec.question))), None)
        return found if isinstance(found, str) else None

    def _missing(self, spec: AnswerSpec) -> _Answered:
        if spec.on_missing == "dlq":
            places = ", ".join(map(format_pointer, spec.sources))
            raise EventRefused(f"answer {spec.name}: no text", f"there is none at {places}")
        if spec.on_missing == "null" and not spec.is_beside:
            return _Answered("skipped", {parse_pointer(spec.to): None})
        return _Answered("skipped")

    def _placed(self, event: JsonEvent, answered: dict[str, _Answered]) -> dict[Path, Any]:
        """What is put in, by place; an answer that finds no place has failed."""
        self._redact(event, answered)
        try:
            put = self._everything(answered)
            event.with_values(_as_json(put))
        except CannotPlace:
            self._fail_without_place(event, answered)
            put = self._everything(answered)
        return put

    def _everything(self, answered: Mapping[str, _Answered]) -> dict[Path, Any]:
        put = {path: value for one in answered.values() for path, value in one.values.items()}
        if self.route.meta is not None:
            put[self.route.meta] = self._meta(answered)
        return put

    def _fail_without_place(self, event: JsonEvent, answered: dict[str, _Answered]) -> None:
        for spec in self.route.answers:
            try:
                event.with_values(_as_json(answered[spec.name].values))
            except CannotPlace as reason:
                if spec.on_error == "dlq":
                    raise
                answered[spec.name] = _Answered("failed", reason=to_problem(reason).type)

    def _redact(self, event: JsonEvent, answered: dict[str, _Answered]) -> None:
        """Masked texts, each made once all that have a say in it have answered."""
        places: dict[tuple[Path, Path], list[_Answered]] = {}
        for spec in self.route.answers:
            if spec.redact is not None:
                place = spec.redact.from_, spec.redact.to
                places.setdefault(place, []).append(answered[spec.name])
        for (source, to), asked in places.items():
            masks = [one.masks for one in asked if one.masks is not None]
            text = next((one.value for one in event.find(source)), None)
            # A text of which only some entities are known is not shown as if it were masked.
            if isinstance(text, str) and len(masks) == len(asked):
                asked[0].values[to] = masked(text, [mask for part in masks for mask in part])

    def _meta(self, answered: Mapping[str, _Answered]) -> dict[str, Any]:
        by_state: dict[str, list[str]] = {"ok": [], "skipped": []}
        failed = {}
        for name, one in answered.items():
            if one.state == "failed":
                failed[name] = one.reason
            else:
                by_state[one.state].append(name)
        manifests = {
            spec.name: self._digest(spec)
            for spec in self.route.answers
            if answered[spec.name].state == "ok"
        }
        return {**by_state, "failed": failed, "manifests": manifests}

    def _key(self, record: Record, value: bytes) -> bytes | None:
        path = self.route.to.key_path
        if path is None:
            return record.key
        found = JsonEvent(value, root=self._root(record))
        key = next((one.value for one in found.find(path)), None)
        if key is None:
            raise EventRefused("no key", f"there is nothing at {format_pointer(path)}")
        return key.encode() if isinstance(key, str) else found.json_at(path)

    def _record(self, record: Record, enriched: Enriched) -> ProducerRecord:
        return ProducerRecord(
            self.route.to.topic,
            enriched.key,
            enriched.value,
            self._headers(record),
            timestamp_ms=record.timestamp_ms,
        )

    def _headers(self, record: Record) -> Headers:
        everything = self.route.to.headers == "same"
        kept = (
            (name, value)
            for name, value in record.headers
            if (everything and not name.startswith(OWN_HEADERS)) or name in _TRACE
        )
        return (
            *kept,
            ("streamproc-route", self.route.name.encode()),
            ("streamproc-source-topic", record.topic.encode()),
            ("streamproc-source-partition", str(record.topic_partition).encode()),
            ("streamproc-source-offset", str(record.offset).encode()),
        )

    async def _dead_letter(self, record: Record, problem: Problem) -> None:
        letter = event_dead_letter(record, problem, self.route)
        log.warning(
            "dead letter", route=self.route.name, position=record.position,
            type=problem.type, title=problem.title,
        )  # fmt: skip
        try:
            await self._publish(letter)
        except TooLarge:
            await self._publish(without_original(letter))


def shaped(spec: AnswerSpec, response: Response) -> Any:
    """What of a response goes into the event."""
    result = response.result or {}
    if spec.keep is None:
        return result.get(_MAIN_FIELD.get(spec.task, ""), result)
    return {
        name: result[name] if name in result else getattr(response, name, None)
        for name in spec.keep
    }


def _masks(
    redact: Redaction, texts: Sequence[Found], responses: Sequence[Response | Problem]
) -> list[Mask] | None:
    for found, response in zip(texts, responses, strict=True):
        if found.path == redact.from_ and isinstance(response, Response):
            entities = (response.result or {}).get("entities", ())
            return masks_of(entities, redact.labels, redact.with_)
    return None


def _as_json(values: Mapping[Path, Any]) -> dict[Path, bytes]:
    return {path: orjson.dumps(value) for path, value in values.items()}
