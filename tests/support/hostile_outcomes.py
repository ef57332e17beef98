"""What came of a record, held against what the table of outcomes says; no faults where it fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.support.good_requests import Asked
from tests.support.hostile_kind import Hostile
from tests.support.topics import Position, Sent, Stored

ERROR_HEADERS = ("streamproc-error-", "streamproc-request-")


def good_outcome(request: Asked, told: Sequence[Stored], letters: Sequence[Stored]) -> list[str]:
    """What is not as it should be of a good request's responses and dead letters."""
    faults = ["it was dead-lettered"] * bool(letters)
    if len(told) != 1:
        return [*faults, f"{len(told)} responses"]
    body = told[0].body
    if body["status"] != "ok" or body["id"] != request.id:
        faults.append(f"answered {body['status']} to {body['id']}")
    return faults


def bad_outcome(
    record: Hostile,
    request: Sent,
    position: Position,
    told: Sequence[Stored],
    letters: Sequence[Stored],
) -> list[str]:
    """What is not as it should be of a hostile record's responses and dead letters.

    request: as it was sent, to `position`
    """
    faults = []
    if len(told) != (record.answered_to is not None):
        faults.append(f"{len(told)} responses")
    for response in told:
        body = _unwrapped(response)
        wanted = record.answered_to or ":".join(map(str, position))
        found = (body["status"], body["id"], body.get("error", {}).get("type"))
        if found != ("error", wanted, record.error):
            faults.append(f"answered {found}, expected {('error', wanted, record.error)}")
        detail = body.get("error", {}).get("detail", "")
        if not detail.startswith(record.names):
            faults.append(f"{detail[:200]!r} does not begin with {record.names!r}")
        if response.key != request.key:
            faults.append("the response has another key")
    if len(letters) != 1:
        return [*faults, f"{len(letters)} dead letters"]
    letter = letters[0]
    kept = {
        name: value for name, value in letter.headers.items() if not name.startswith(ERROR_HEADERS)
    }
    if (letter.key, letter.value, kept) != (request.key, request.value, dict(request.headers)):
        faults.append("the dead letter is not the original")
    if letter.headers["streamproc-error-type"] != record.error.encode():
        faults.append(f"dead letter of type {letter.headers['streamproc-error-type']!r}")
    return faults


def _unwrapped(response: Stored) -> dict[str, Any]:
    """A response to a structured CloudEvent is one too."""
    body = response.body
    return dict(body["data"]) if "specversion" in body else body
