"""Examples of a route: an event, and beside it the event that is expected to come out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streamproc.enrichment.json_event import JsonEvent
from streamproc.enrichment.json_pointer import format_pointer
from streamproc.enrichment.route import Route
from streamproc.errors import TopicsError

# Scores differ in the last places from one kind of processor to the next.
SCORE_TOLERANCE: Final = 1e-3


@dataclass(frozen=True, slots=True)
class RouteExample:
    """The bytes of an event, and of the one expected, in two files."""

    file: Path
    event: bytes
    expected: bytes

    def differences(self, route: Route, enriched: bytes) -> list[str]:
        """Where an event is not what is expected, a line a place.

        Numbers that are not the event's own may differ by 0.001; digests of manifests, which
        change with every model, are left out.
        """
        found, wanted = json.loads(enriched), json.loads(self.expected)
        root = ("data",) if route.from_.format == "cloudevents" else ()
        if route.meta is not None:
            for one in (found, wanted):
                _drop_manifests(one, (*root, *route.meta))
        return list(_differences(found, wanted, ()))


def route_examples(route: Route, folder: Path) -> list[RouteExample]:
    """The examples that a route lists, below the folder of its file.

    Of `ticket.json` the expected event is `ticket.expected.json`.
    Raises TopicsError naming the file that is not there, or is no JSON.
    """
    examples = []
    for name in route.examples:
        file = folder / name
        expected = file.with_suffix(".expected" + file.suffix)
        try:
            example = RouteExample(file, file.read_bytes(), expected.read_bytes())
            JsonEvent(example.expected)
        except OSError as error:
            raise TopicsError(
                f"route {route.name}: examples: {error.filename}: {error.strerror}"
            ) from None
        examples.append(example)
    return examples


def _drop_manifests(event: Any, path: tuple[str, ...]) -> None:
    for name in path:
        event = event.get(name) if isinstance(event, dict) else None
    if isinstance(event, dict):
        event.pop("manifests", None)


def _differences(found: Any, wanted: Any, path: tuple[str, ...]) -> Iterator[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for name in dict.fromkeys((*wanted, *found)):
            place = (*path, name)
            if name not in found:
                yield f"{format_pointer(place)} is missing"
            elif name not in wanted:
                yield f"{format_pointer(place)} is not expected"
            else:
                yield from _differences(found[name], wanted[name], place)
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        for index, (one, other) in enumerate(zip(found, wanted, strict=True)):
            yield from _differences(one, other, (*path, str(index)))
    elif isinstance(found, float) and isinstance(wanted, float):
        if not math.isclose(found, wanted, abs_tol=SCORE_TOLERANCE, rel_tol=0):
            yield f"{format_pointer(path)} is {found}, expected {wanted}"
    elif found != wanted or isinstance(found, bool) is not isinstance(wanted, bool):
        yield f"{format_pointer(path)} is {json.dumps(found)}, expected {json.dumps(wanted)}"
