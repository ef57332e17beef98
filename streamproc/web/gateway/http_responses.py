"""Outcomes as the web framework sends them."""

from __future__ import annotations

from fastapi import Response

from streamproc.web.gateway.preferences import Preferences
from streamproc.web.gateway.problems import RETRY_AFTER_S, Outcome


def http_response(outcome: Outcome, preferences: Preferences | None = None) -> Response:
    """An outcome as the web framework sends it."""
    headers = dict(outcome.headers)
    if preferences is not None and preferences.wait_s is not None:
        headers["Preference-Applied"] = f"wait={preferences.wait_s:g}"
    return Response(outcome.body, outcome.status, headers=headers, media_type=outcome.media_type)


def pending_response(request_id: str, preferences: Preferences) -> Response:
    """202: where the outcome will be, and when to look."""
    location = f"/v1/requests/{request_id}"
    applied = "respond-async"
    if preferences.wait_s is not None:
        applied += f", wait={preferences.wait_s:g}"
    headers = {
        "Location": location,
        "Retry-After": str(RETRY_AFTER_S),
        "Preference-Applied": applied,
    }
    body = f'{{"id":"{request_id}","status":"pending","location":"{location}"}}'
    return Response(body, 202, headers=headers, media_type="application/json")
