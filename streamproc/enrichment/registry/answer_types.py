"""What types the answers of a route have, by the places where they are put."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streamproc.enrichment.answer_spec import AnswerSpec
from streamproc.enrichment.asking import MAIN_FIELD
from streamproc.enrichment.json_pointer import Path, parse_pointer
from streamproc.enrichment.route import Route
from streamproc.messages.response_types import (
    AnswerType,
    ListOf,
    MapOf,
    RecordOf,
    Scalar,
    fields_of,
    response_fields,
)

_META: Final = RecordOf({
    "ok": ListOf("string"), "skipped": ListOf("string"), "failed": MapOf("string"),
    "manifests": MapOf("string"),
}, is_there=True)  # fmt: skip


def answer_type(spec: AnswerSpec) -> AnswerType:
    """Of what `asking.shaped` makes of a response."""
    fields = fields_of(spec.task, "result")
    is_there = spec.on_missing != "null" and spec.on_error != "default"
    if spec.keep is not None:
        known = response_fields(spec.task) | fields
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
