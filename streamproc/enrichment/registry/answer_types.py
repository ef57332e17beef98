"""What types the answers of a route have, by the places where they are put."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from streamproc.enrichment.answer_spec import AnswerSpec
from streamproc.enrichment.asking import MAIN_FIELD
from streamproc.enrichment.json_pointer import Path, parse_pointer
from streamproc.enrichment.route import Route
from streamproc.errors import Invalid

Scalar = Literal["string", "number", "integer", "boolean"]


@dataclass(frozen=True, slots=True)
class ListOf:
    """Any number of one type."""

    items: AnswerType


@dataclass(frozen=True, slots=True)
class MapOf:
    """Values of one type, by names that are not known."""

    values: AnswerType


@dataclass(frozen=True, slots=True)
class RecordOf:
    """Fields by name; each may be missing or null.

    is_there: it is never null where it is given
    """

    fields: dict[str, AnswerType] = field(default_factory=dict)
    is_there: bool = False


AnswerType = Scalar | ListOf | MapOf | RecordOf

_SPAN: Final[dict[str, AnswerType]] = {"start": "integer", "end": "integer"}
_ENTITY: Final = RecordOf({
    "entity_group": "string", "entity": "string", "score": "number", "index": "integer",
    "word": "string", **_SPAN,
})  # fmt: skip
_ANSWER: Final[dict[str, AnswerType]] = {"answer": "string", "score": "number", **_SPAN}
_NUMBER: Final[dict[str, AnswerType]] = {"value": "number", "spread": "number"}

RESULT_TYPES: Final[dict[str, dict[str, AnswerType]]] = {
    "question-answering": {**_ANSWER, "answers": ListOf(RecordOf(_ANSWER))},
    "summarization": {
        "summary_text": "string",
        "finish_reason": "string",
        "chunks": ListOf(RecordOf({**_SPAN, "finish_reason": "string"})),
    },
    "text-classification": {
        "label": "string",
        "score": "number",
        "scores": MapOf("number"),
        "labels": ListOf("string"),
        "value": "number",
        "spread": "number",
        "values": MapOf(RecordOf(_NUMBER)),
    },
    "text-generation": {
        "generated_text": "string",
        "finish_reason": "string",
        "next_tokens": ListOf(RecordOf({"token": "string", "probability": "number"})),
    },
    "token-classification": {"entities": ListOf(_ENTITY)},
    "translation": {
        "translation_text": "string",
        "finish_reason": "string",
        "unfinished": ListOf(RecordOf(_SPAN)),
    },
}
"""The fields of a task's result, as topics/schemas/ describes them."""

_WHOLE_TYPES: Final[dict[str, AnswerType]] = {
    "agreement": "number",
    "entropy": "number",
    "status": "string",
    "coverage": RecordOf({
        "chunks": "integer", "characters": "integer", "characters_covered": "integer",
        "truncated": "boolean",
    }),
}  # fmt: skip
_META: Final = RecordOf({
    "ok": ListOf("string"), "skipped": ListOf("string"), "failed": MapOf("string"),
    "manifests": MapOf("string"),
}, is_there=True)  # fmt: skip


def answer_type(spec: AnswerSpec) -> AnswerType:
    """Of what `asking.shaped` makes of a response. Raises Invalid for a task without types."""
    fields = RESULT_TYPES.get(spec.task)
    if fields is None:
        raise Invalid("no schema", f"the answers of {spec.task} have none yet")
    is_there = spec.on_missing != "null" and spec.on_error != "default"
    if spec.keep is not None:
        known = fields | _WHOLE_TYPES
        return RecordOf({name: known[name] for name in spec.keep}, is_there)
    main = MAIN_FIELD.get(spec.task)
    return RecordOf(fields, is_there) if main is None else fields[main]


def placed_types(route: Route) -> dict[Path, AnswerType]:
    """By place, what is put there; `*` stands for every element of an array.

    A text that is masked in its own place is none of these: it is what it was.
    """
    placed: dict[Path, AnswerType] = {}
    for spec in route.answers:
        one = answer_type(spec)
        if spec.is_beside:
            placed |= {(*path[:-1], spec.to): one for path in spec.sources}
        else:
            placed[parse_pointer(spec.to)] = MapOf(one) if spec.has_many else one
        if spec.redact is not None and spec.redact.to != spec.redact.from_:
            placed[spec.redact.to] = "string"
    if route.meta is not None:
        placed[route.meta] = _META
    return placed


def masked_in_place(route: Route) -> frozenset[Path]:
    """The texts that are masked where they are."""
    return frozenset(
        spec.redact.to
        for spec in route.answers
        if spec.redact is not None and spec.redact.to == spec.redact.from_
    )


def as_record(placed: Mapping[Path, AnswerType]) -> RecordOf:
    """One record of all places: those that begin alike lie in one record."""
    whole = RecordOf(is_there=True)
    for path, one in placed.items():
        at = whole
        for name in path[:-1]:
            inner = at.fields.setdefault(name, RecordOf(is_there=True))
            assert isinstance(inner, RecordOf)  # noqa: S101 - places don't overlap: route.py
            at = inner
        at.fields[path[-1]] = one
    return whole


def fits(value: Any, one: AnswerType) -> bool:
    """Whether a JSON value is of a type; null is of all."""
    if value is None:
        return True
    if isinstance(one, ListOf):
        return isinstance(value, list) and all(fits(item, one.items) for item in value)
    if isinstance(one, MapOf):
        return isinstance(value, dict) and all(fits(item, one.values) for item in value.values())
    if isinstance(one, RecordOf):
        return isinstance(value, dict) and all(
            name in one.fields and fits(item, one.fields[name]) for name, item in value.items()
        )
    if isinstance(value, bool):
        return one == "boolean"
    python: dict[Scalar, tuple[type, ...]] = {
        "string": (str,), "number": (int, float), "integer": (int,), "boolean": (),
    }  # fmt: skip
    return isinstance(value, python[one])
