"""One event's questions: texts found and asked about together, answers shaped for the event."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Final, Literal, NamedTuple, Protocol

from streamproc.enrichment.answer_spec import AnswerSpec, Redaction
from streamproc.enrichment.event import Event
from streamproc.enrichment.json_event import Found
from streamproc.enrichment.json_pointer import Path, format_pointer, parse_pointer
from streamproc.enrichment.redaction import Mask, masks_of
from streamproc.enrichment.route import Route
from streamproc.enrichment.together import run_few_together, run_together
from streamproc.errors import Invalid
from streamproc.messages.cloudevents import Envelope, Form
from streamproc.messages.record import Record
from streamproc.messages.request import Request
from streamproc.messages.response import Problem, Response

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
MAIN_FIELD: Final = {
    "summarization": "summary_text",
    "token-classification": "entities",
    "translation": "translation_text",
}
"""Of a result that is one thing and how it came about: what goes into the event without `keep`."""
MAX_TEXTS: Final = 10_000
"""Of one answer: what all of them take while the event is under way has to end somewhere."""
TEXTS_AT_ONCE: Final = 256
"""Of one answer: more than batches hold, and few enough that other events get their turn."""
_NOT_TEXT: Final = Problem(
    "invalid", "not a text", "the value is no string, or holds half of a surrogate pair"
)


class TaskAnswers(Protocol):
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
class Answered:
    """What became of one answer.

    reason: the type of what a failed answer failed of; detail: that in words, for people
    values: what is put into the event
    masks:  what its redaction hides; None where that is not known
    manifest: digest of the manifest that it was given under; None: there is no one such
    """

    state: Literal["ok", "skipped", "failed"]
    values: dict[Path, Any] = field(default_factory=dict)
    reason: str = ""
    detail: str = ""
    masks: list[Mask] | None = None
    manifest: str | None = None


class Asker:
    """Asks what a route wants to know of its events."""

    def __init__(self, route: Route, answers: Mapping[str, TaskAnswers]) -> None:
        """answers: what answers requests, by task"""
        self._route = route
        self._answers = answers

    def digest(self, spec: AnswerSpec) -> str:
        """Of the manifest that an answer is given under now."""
        return self._answers[spec.task].digest(spec.ensemble)

    def texts_of(self, event: Event) -> list[AskedText]:
        """What would be asked about an event; raises EventRefused as `ask` does."""
        self._refuse_repeated(event)
        return [
            AskedText(
                spec.name,
                spec.ensemble,
                format_pointer(found.path),
                self._answers[spec.task].count_tokens(spec.ensemble, found.value),
            )
            for spec in self._route.answers
            for found in _texts(event, spec)
            if _is_text(found.value)
        ]

    async def ask(self, event: Event, record: Record) -> dict[str, Answered]:
        """What became of each answer, by name, in the order of the route.

        Raises EventRefused where one makes the event a dead letter.
        """
        self._refuse_repeated(event)
        done = self._done_before(event)
        before = {
            spec.name: Answered("ok", manifest=self.digest(spec))
            for spec in self._route.answers
            if spec.name in done
        }
        asked = [spec for spec in self._route.answers if spec.name not in done]
        # All of them are found before any is asked about: one that has too many refuses the event.
        texts = [_texts(event, spec) for spec in asked]
        results = await run_together(
            [
                self._ask(spec, of_spec, event, record)
                for spec, of_spec in zip(asked, texts, strict=True)
            ]
        )
        answered = dict(zip((spec.name for spec in asked), results, strict=True))
        return {spec.name: (before | answered)[spec.name] for spec in self._route.answers}

    def _refuse_repeated(self, event: Event) -> None:
        """Refuse an event that keeps a text as it was beside the masked one, under its name."""
        for spec in self._route.answers:
            if spec.redact is None or spec.redact.from_ != spec.redact.to:
                continue
            repeated = event.repeated_on(spec.redact.to)
            if repeated is not None:
                raise EventRefused(
                    f"answer {spec.name}: a text that is there more than once",
                    f"{format_pointer(repeated)} is the name of several members, of which only the "
                    "last would be masked; send events in which each name is there once",
                )

    def _done_before(self, event: Event) -> frozenset[str]:
        """The answers that the event already has, of the manifests that would answer now."""
        if not self._route.skip_if_done or self._route.meta is None:
            return frozenset()
        meta = next((found.value for found in event.find(self._route.meta)), None)
        if not isinstance(meta, dict):
            return frozenset()
        finished, manifests = meta.get("ok"), meta.get("manifests")
        if not isinstance(finished, list) or not isinstance(manifests, dict):
            return frozenset()
        done = {
            spec.name
            for spec in self._route.answers
            if spec.name in finished and manifests.get(spec.name) == self.digest(spec)
        }
        # A masked text is made of all answers that have a say in it, or stays as it is.
        asked_anew = {
            spec.redact.to
            for spec in self._route.answers
            if spec.redact is not None and spec.name not in done
        }
        return frozenset(
            spec.name
            for spec in self._route.answers
            if spec.name in done and (spec.redact is None or spec.redact.to not in asked_anew)
        )

    async def _ask(
        self, spec: AnswerSpec, texts: Sequence[Found], event: Event, record: Record
    ) -> Answered:
        """One answer, of one or of several texts."""
        question = _question(spec, event)
        if not texts or (spec.question is not None and question is None):
            return _missing(spec)
        responses = await run_few_together(
            partial(self._ask_about, spec, question, record), texts, TEXTS_AT_ONCE
        )
        failures = [one for one in responses if isinstance(one, Problem)]
        if failures and spec.on_error == "dlq":
            first = failures[0]
            raise EventRefused(f"answer {spec.name}: {first.title}", first.detail)
        answered = Answered("failed" if failures else "ok")
        if failures:
            answered.reason = failures[0].type
            where = format_pointer(texts[responses.index(failures[0])].path)
            answered.detail = f"{where}: {failures[0].title}: {failures[0].detail}"
        # Where another version took over between two texts, neither may pass for what gave both.
        manifests = {one.manifest for one in responses if isinstance(one, Response)}
        answered.manifest = manifests.pop() if len(manifests) == 1 else None
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
        self, spec: AnswerSpec, question: str | None, record: Record, found: Found
    ) -> Response | Problem:
        if not _is_text(found.value):
            return _NOT_TEXT
        inputs: dict[str, Any] = {"text": found.value}
        if question is not None:
            inputs = {"question": question, "context": found.value}
        within = format_pointer(found.path) if spec.has_many else ""
        deadline_ms = self._route.deadline_ms
        request = Request(
            id=f"{record.position}/{spec.name}{within}",
            ensemble=spec.ensemble,
            inputs=inputs,
            given=inputs.keys(),
            params=spec.params,
            deadline_at_ms=None if deadline_ms is None else record.timestamp_ms + deadline_ms,
            metadata=None,
            envelope=Envelope(Form.PLAIN),
            position=record.position,
            key=record.key,
        )
        response = await self._answers[spec.task].answer(request)
        return response if response.error is None else response.error


def shaped(spec: AnswerSpec, response: Response) -> Any:
    """What of a response goes into the event."""
    result = response.result or {}
    if spec.keep is None:
        return result.get(MAIN_FIELD.get(spec.task, ""), result)
    return {
        name: result[name] if name in result else getattr(response, name, None)
        for name in spec.keep
    }


def _is_text(value: object) -> bool:
    """Whether it is a string of characters: JSON may write half of a pair, which is none."""
    return isinstance(value, str) and not _SURROGATE.search(value)


def _texts(event: Event, spec: AnswerSpec) -> list[Found]:
    """Those that an answer is about; raises EventRefused where they are too many."""
    found = (one for path in spec.sources for one in event.find(path) if one.value is not None)
    texts = list(islice(found, MAX_TEXTS + 1))
    if len(texts) > MAX_TEXTS:
        raise EventRefused(
            f"answer {spec.name}: too many texts",
            f"there are more than {MAX_TEXTS:,} at {_places(spec)}; send several events, or name "
            "fewer places",
        )
    return texts


def _places(spec: AnswerSpec) -> str:
    return ", ".join(map(format_pointer, spec.sources))


def _question(spec: AnswerSpec, event: Event) -> str | None:
    if spec.question is None or not spec.question.startswith("/"):
        return spec.question
    found = next((one.value for one in event.find(parse_pointer(spec.question))), None)
    return found if _is_text(found) else None


def _missing(spec: AnswerSpec) -> Answered:
    if spec.on_missing == "dlq":
        raise EventRefused(f"answer {spec.name}: no text", f"there is none at {_places(spec)}")
    if spec.on_missing == "null" and not spec.is_beside:
        return Answered("skipped", {parse_pointer(spec.to): None})
    return Answered("skipped")


def _masks(
    redact: Redaction, texts: Sequence[Found], responses: Sequence[Response | Problem]
) -> list[Mask] | None:
    for found, response in zip(texts, responses, strict=True):
        if found.path == redact.from_ and isinstance(response, Response):
            entities = (response.result or {}).get("entities", ())
            return masks_of(entities, redact.labels, redact.with_)
    return None
