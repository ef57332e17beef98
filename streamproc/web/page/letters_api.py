"""Dead letters over HTTP: listed, opened, and redriven after a preview."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Final

import structlog
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamproc.clock import Clock
from streamproc.kafka.dead_letters import (
    DeadLetter,
    Selection,
    at_most,
    dead_letter_at,
    newest_letters,
)
from streamproc.kafka.topic_reader import held
from streamproc.messages.record import Headers
from streamproc.messages.validation import describe
from streamproc.settings import Settings
from streamproc.status.letters import LetterPlace, letter_places, redriven
from streamproc.web.page.responses import json_response

MOST_LISTED: Final = 300
MOST_REDRIVEN: Final = 100_000
MOST_SHOWN_BYTES: Final = 64 * 1024
"""Of a value; `streamproc dlq show` prints all of it."""

log = structlog.get_logger(__name__)


class _Redrive(BaseModel):
    """Which letters; a list that is empty selects all, and so `all` has to say so too.

    by: who wants it, in their own words; preview: nothing is sent
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    place: str
    by: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
    offsets: list[str] = []
    types: list[str] = []
    all: bool = False
    preview: bool = True


def letter_routes(settings: Settings, clock: Clock) -> list[Route]:
    """`api/letters` and below."""
    places = letter_places(settings)

    def place_of(name: str) -> LetterPlace:
        if name not in places:
            raise HTTPException(404, f"there are no dead letters of {name!r}")
        return places[name]

    async def listed(request: Request) -> Response:
        name = request.query_params.get("place")
        if name is None:
            counts = await held(settings, [one.topic for one in places.values()])
            return json_response(
                [
                    {"name": one.name, "topic": one.topic, "held": counts[one.topic]}
                    for one in places.values()
                ]
            )
        place = place_of(name)
        count, letters = await newest_letters(settings, place.topic, MOST_LISTED)
        return json_response(
            {
                "place": place.name,
                "topic": place.topic,
                "held": count,
                "types": Counter(letter.type for letter in letters),
                "letters": [_row(letter) for letter in letters],
            }
        )

    async def opened(request: Request) -> Response:
        place = place_of(request.query_params.get("place", ""))
        letter = await dead_letter_at(settings, place.topic, request.query_params.get("offset", ""))
        return json_response(_opened(letter))

    async def redrive(request: Request) -> Response:
        try:
            asked = _Redrive.model_validate_json(await request.body())
        except ValidationError as error:
            raise HTTPException(422, describe(error, model=_Redrive)) from None
        if not (asked.offsets or asked.types or asked.all):
            raise HTTPException(422, "choose letters by offsets, by types, or all")
        place = place_of(asked.place)
        selection = Selection(offsets=asked.offsets, types=asked.types)
        who = _named(asked.by, request)
        by = None if asked.preview else who
        letters = at_most(redriven(settings, clock, place, selection, by=by), MOST_REDRIVEN)
        counts: Counter[str] = Counter()
        try:
            async for letter in letters:
                counts[letter.request_topic] += 1
        finally:
            if by is not None:
                log.info("dead letters redriven", topic=place.topic, count=counts.total(), by=by)
        return json_response(
            {"preview": asked.preview, "count": counts.total(), "topics": counts, "by": who}
        )

    return [
        Route("/api/letters", listed),
        Route("/api/letter", opened),
        Route("/api/letters/redrive", redrive, methods=["POST"]),
    ]


def _named(by: str, request: Request) -> str:
    """Who redrives: the name that was given, and the key's where the server asks for one."""
    key = getattr(getattr(request.state, "caller", None), "name", "")
    return f"{by} ({key})" if key else by


def _row(letter: DeadLetter) -> dict[str, Any]:
    return letter.summary() | {
        "at_ms": letter.record.timestamp_ms,
        "size_bytes": letter.record.size_bytes,
        "has_original": letter.has_original,
    }


def _opened(letter: DeadLetter) -> dict[str, Any]:
    value = letter.record.value
    return _row(letter) | {
        "headers": _headers(letter.record.headers),
        "key": None if letter.record.key is None else _text(letter.record.key),
        "value": None if value is None else _text(value[:MOST_SHOWN_BYTES]),
        "hex": None if value is None or _is_text(value) else _hex_dump(value[:512]),
        "is_whole": value is None or len(value) <= MOST_SHOWN_BYTES,
    }


def _headers(headers: Headers) -> list[tuple[str, str | None]]:
    return [(name, None if value is None else _text(value)) for name, value in headers]


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _hex_dump(value: bytes) -> str:
    lines = (value[at : at + 16] for at in range(0, len(value), 16))
    return "\n".join(f"{16 * n:06x}  {line.hex(' ')}" for n, line in enumerate(lines))
