"""What a route may put where, when its events have schemas."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from streamproc.enrichment.json_pointer import EVERY, Path, format_pointer
from streamproc.enrichment.registry.answer_types import answer_type, fits, placed_types
from streamproc.enrichment.route import Route
from streamproc.errors import Invalid
from streamproc.messages.response_types import AnswerType, ListOf, MapOf, RecordOf

_AVRO_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_schemas(route: Route) -> None:
    """Raises Invalid where a route asks for what its events' schemas can't hold."""
    for spec in route.answers:
        if not fits(spec.default, answer_type(spec)):
            raise Invalid(
                f"answers: {spec.name}: default",
                "it is not of the type that the answer has, and an output schema has one type",
            )
    if route.from_.format != "avro":
        return
    if route.skip_if_done:
        raise Invalid("skip_if_done", "Avro events take each answer once; leave it out")
    for path, one in placed_types(route).items():
        _check_avro(path, one)


def _check_avro(path: Path, one: AnswerType) -> None:
    pointer = format_pointer(path)
    if EVERY in path:
        raise Invalid(
            f"to: {pointer}",
            "Avro events get their answers behind their last field, and not beside each text; "
            "give a pointer to a new member, as in to: /nlp/lines",
        )
    for name in (*path, *_names(one)):
        if not _AVRO_NAME.fullmatch(name):
            raise Invalid(
                f"to: {pointer}",
                f"{name!r} is no name of a field in Avro, which has letters, digits and _",
            )


def _names(one: AnswerType) -> Iterator[str]:
    if isinstance(one, RecordOf):
        for name, inner in one.fields.items():
            yield name
            yield from _names(inner)
    elif isinstance(one, ListOf):
        yield from _names(one.items)
    elif isinstance(one, MapOf):
        yield from _names(one.values)
