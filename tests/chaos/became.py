"""What became of a request or an event, and whether it is what it should be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from tests.chaos.asked import Source
from tests.chaos.enriched_events import differences, is_enriched, readable
from tests.support.topics import Stored


@dataclass(frozen=True, slots=True)
class Became:
    """kind: as it is counted
    same:  what is the same however often it comes
    wrong: what is not as it should be
    """

    kind: str
    same: bytes
    wrong: tuple[str, ...] = ()


def became(source: Source, made: Stored, event: Stored | None) -> Became:
    """What a record says that was made of one of a source's.

    event: as it lies in the source; None: it is gone, or was no event
    """
    is_letter = made.position[0] == source.letters
    if source.holds == "shop":
        return _shop_event(made, event, is_letter=is_letter)
    if is_letter:
        why = {name: value for name, value in made.headers.items() if "error" in name}
        return Became("dead letter", made.value or b"", (f"is a dead letter: {why}",))
    return _response(made) if source.holds == "requests" else _mood(made)


def _response(made: Stored) -> Became:
    body = made.body
    same = orjson.dumps(body.get("result"))
    if body.get("status") != "ok":
        return Became("not ok", same, (f"is not ok: {body.get('error')}",))
    return Became("several chunks" if body["coverage"]["chunks"] > 1 else "one chunk", same)


def _mood(made: Stored) -> Became:
    wrong = () if made.body.get("nlp", {}).get("mood") else ("has no mood",)
    return Became("enriched", made.value or b"", wrong)


def _shop_event(made: Stored, event: Stored | None, *, is_letter: bool) -> Became:
    same = b"dead letter " * is_letter + (made.value or b"")
    if event is None:
        return Became("gone", same, ("was made of an event that is not there",))
    kind = _kind(event)
    return Became(kind, same, tuple(_wrong(event, kind, made, is_letter=is_letter)))


def _kind(event: Stored) -> str:
    if event.value is None:
        return "tombstone"
    if not readable(event.value):
        return "dead letter"
    return "enriched" if is_enriched(event.value) else "unmatched"


def _wrong(event: Stored, kind: str, made: Stored, *, is_letter: bool) -> Iterator[str]:
    """What is not right about a record that was made of an event."""
    if is_letter is not (kind == "dead letter"):
        why = {name: value for name, value in made.headers.items() if "-error-" in name}
        yield f"should be {kind}, and lies in {made.position[0]} {why or ''}"
        return
    if not event.headers.items() <= made.headers.items():
        yield f"had the headers {event.headers}, and has {made.headers}"
    if not is_letter and made.timestamp_ms != event.timestamp_ms:
        yield f"had the timestamp {event.timestamp_ms}, and has {made.timestamp_ms}"
    if kind == "enriched":
        yield from differences(event.value or b"", made.value or b"")
    elif made.value != event.value:
        yield f"should be {kind}, and its bytes are others"
