"""JSON as the page gets it."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from starlette.responses import Response


def json_response(
    body: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Never kept by a browser, as it may hold people's texts."""
    return Response(
        orjson.dumps(body),
        status,
        headers={**(headers or {}), "Cache-Control": "no-store"},
        media_type="application/json",
    )
