"""Where answers go in an event: each in its place, masked texts, and what became of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from streamproc.enrichment.asking import Answered
from streamproc.enrichment.event import Event
from streamproc.enrichment.json_event import CannotPlace
from streamproc.enrichment.json_pointer import Path
from streamproc.enrichment.redaction import masked
from streamproc.enrichment.route import Route
from streamproc.messages.problems import to_problem


def placed(
    route: Route, event: Event, answered: dict[str, Answered]
) -> tuple[bytes, dict[Path, Any]]:
    """The record's value with answers, and what was put in, by place.

    An answer that finds no place has failed, which `answered` says then.
    Raises CannotPlace where it makes the event a dead letter, or there is no place for `meta`.
    """
    _redact(route, event, answered)
    put = _everything(route, answered)
    try:
        return event.with_values(_as_json(put)), put
    except CannotPlace:
        _fail_without_place(route, event, answered)
    put = _everything(route, answered)
    return event.with_values(_as_json(put)), put


def _everything(route: Route, answered: Mapping[str, Answered]) -> dict[Path, Any]:
    put = {path: value for one in answered.values() for path, value in one.values.items()}
    if route.meta is not None:
        put[route.meta] = _meta(answered)
    return put


def _fail_without_place(route: Route, event: Event, answered: dict[str, Answered]) -> None:
    for spec in route.answers:
        try:
            event.with_values(_as_json(answered[spec.name].values))
        except CannotPlace as reason:
            if spec.on_error == "dlq":
                raise
            answered[spec.name] = Answered(
                "failed", reason=to_problem(reason).type, detail=str(reason)
            )


def _redact(route: Route, event: Event, answered: dict[str, Answered]) -> None:
    """Masked texts, each made once all that have a say in it have answered."""
    places: dict[tuple[Path, Path], list[Answered]] = {}
    for spec in route.answers:
        if spec.redact is not None:
            place = spec.redact.from_, spec.redact.to
            places.setdefault(place, []).append(answered[spec.name])
    for (source, to), asked in places.items():
        masks = [one.masks for one in asked if one.masks is not None]
        text = next((one.value for one in event.find(source)), None)
        # A text of which only some entities are known is not shown as if it were masked.
        if isinstance(text, str) and len(masks) == len(asked):
            asked[0].values[to] = masked(text, [mask for part in masks for mask in part])


def _meta(answered: Mapping[str, Answered]) -> dict[str, Any]:
    by_state: dict[str, list[str]] = {"ok": [], "skipped": []}
    failed = {}
    for name, one in answered.items():
        if one.state == "failed":
            failed[name] = one.reason
        else:
            by_state[one.state].append(name)
    manifests = {
        name: one.manifest
        for name, one in answered.items()
        if one.state == "ok" and one.manifest is not None
    }
    return {**by_state, "failed": failed, "manifests": manifests}


def _as_json(values: Mapping[Path, Any]) -> dict[Path, bytes]:
    return {path: orjson.dumps(value) for path, value in values.items()}
