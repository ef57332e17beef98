"""One route with scripted answerers, and what it published."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from streamproc.clock import SystemClock
from streamproc.enrichment.enricher import Enricher
from streamproc.enrichment.event import EventFormat
from streamproc.enrichment.registry.registry_format import RegistryFormat
from streamproc.enrichment.registry.schemas import Registry
from streamproc.enrichment.route import Route
from streamproc.errors import RefusedRecord, TooLarge
from streamproc.messages.record import Headers, ProducerRecord, Record
from streamproc.messages.request import Request
from streamproc.messages.response import Problem, Response
from streamproc.metrics import Metrics

MOOD = {
    "name": "mood", "task": "text-classification", "ensemble": "sentiment", "text": "/body",
    "to": "/nlp/mood", "keep": ["label", "agreement"],
}  # fmt: skip
PEOPLE = {
    "name": "people", "task": "token-classification", "ensemble": "entities", "text": "/body",
    "to": "/nlp/people",
    "redact": {"labels": ["PER"], "from": "/body", "to": "/masked"},
}  # fmt: skip
LINES = {
    "name": "lines", "task": "translation", "ensemble": "translation-en-de",
    "text": "/lines/*/text", "to": "de",
}  # fmt: skip


class Scripted:
    """Answers by the text: entities are words in capitals, translations are capitals."""

    def __init__(self, task: str) -> None:
        self.task = task
        self.asked: list[Request] = []
        self.fail: Callable[[Request], None] = lambda request: None

    def digest(self, ensemble: str) -> str:
        return f"digest of {ensemble}"

    def count_tokens(self, ensemble: str, text: str) -> int:
        return len(text.split())

    async def answer(self, request: Request) -> Response:
        await asyncio.sleep(0)
        self.asked.append(request)
        self.fail(request)
        text = request.inputs.get("text") or request.inputs["context"]
        if "late" in text:
            problem = Problem("deadline", "deadline passed", "no answer was ready in time")
            return Response(request.id, self.task, "error", error=problem)
        return Response(
            request.id,
            self.task,
            "ok",
            manifest=self.digest(request.ensemble or ""),
            result=self._result(text),
            agreement=0.75,
        )

    def _result(self, text: str) -> dict[str, Any]:
        if self.task == "text-classification":
            return {"label": "GOOD" if "good" in text else "BAD", "score": 0.5, "scores": {}}
        if self.task == "translation":
            return {"translation_text": text.upper(), "finish_reason": "stop", "unfinished": []}
        if self.task == "question-answering":
            return {"answer": text.split(maxsplit=1)[0], "score": 0.5, "start": 0, "end": 1}
        words = [(word, text.index(word)) for word in text.split() if word[0].isupper()]
        return {
            "entities": [
                {"entity_group": "PER", "word": word, "start": at, "end": at + len(word)}
                for word, at in words
            ]
        }


class Scene:
    """One route with scripted answerers, and what it published."""

    def __init__(self, *answers: dict[str, Any], **fields: Any) -> None:
        described = {
            "kind": "route", "name": "shop", "description": "what is tested here",
            "from": {"topics": ["in"]}, "to": {"topic": "out"}, "meta": "/nlp/run", "dlq": "dead",
            "answers": [*answers], **fields,
        }  # fmt: skip
        self.route = Route.model_validate(described)
        self.answerers = {
            task: Scripted(task)
            for task in (
                "text-classification", "token-classification", "translation", "question-answering",
            )
        }  # fmt: skip
        self.published: list[ProducerRecord] = []
        self.too_large = frozenset[str]()
        self.refusing = frozenset[str]()
        self.metrics = Metrics()
        self.enricher = Enricher(
            self.route,
            self.answerers,
            self._publish,
            clock=SystemClock(),
            metrics=self.metrics,
            events=self._events(),
        )

    def _events(self) -> EventFormat | None:
        """How its events are written; None: as the route says, without schemas."""
        return None

    async def _publish(self, record: ProducerRecord) -> None:
        if record.topic in self.too_large and not record.is_last_resort:
            raise TooLarge("record too large", "too many bytes")
        if record.topic in self.refusing and record.instead is not None:
            raise RefusedRecord("refused by its topic", "its timestamp")
        self.published.append(record)

    async def through(self, value: str | bytes | None, headers: Headers = ()) -> ProducerRecord:
        """What the event became."""
        value = value.encode() if isinstance(value, str) else value
        record = Record("in", 3, 42, 1_700_000_000_000, b"key", value, headers)
        await self.enricher(record)
        return self.published[-1]

    async def event(self, value: str) -> Any:
        """The event that it became, parsed."""
        published = await self.through(value)
        assert published.topic == "out", published.headers
        return json.loads(published.value or b"")


class RegistryScene(Scene):
    """The same over events whose schemas a registry in memory holds."""

    def __init__(
        self,
        registry: Registry,
        *answers: dict[str, Any],
        format_: str = "avro",
        topic: str = "in",
        **fields: Any,
    ) -> None:
        self.registry = registry
        super().__init__(*answers, **{"from": {"topics": [topic], "format": format_}, **fields})

    def _events(self) -> RegistryFormat:
        return RegistryFormat(self.route, self.registry, SystemClock())
