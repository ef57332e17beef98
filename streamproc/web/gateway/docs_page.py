"""The OpenAPI document as a page, with all that it needs: it asks no other server for anything."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter, Response

from streamproc.web.gateway.problems import GatewayProblem

_ASSETS: Final = Path(__file__).parent / "assets"
_PACKED: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
}
_START: Final = b"""window.ui = SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null,
});
"""
_PAGE: Final = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>streamproc gateway</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
# Swagger UI sets styles in place, and shows icons out of its style sheet.
_POLICY: Final = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"


def docs_router() -> APIRouter:
    """The page, and what belongs to it."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def page() -> Response:
        headers = {"Content-Security-Policy": _POLICY}
        return Response(_PAGE, media_type="text/html", headers=headers)

    @router.get("/docs/start.js")
    async def start() -> Response:
        return Response(_START, media_type="text/javascript")

    @router.get("/docs/{name}")
    async def packed(name: str) -> Response:
        if name not in _PACKED:
            raise GatewayProblem("not-found", f"no {name[:100]!r} here")
        content = (_ASSETS / f"{name}.gz").read_bytes()
        headers = {"Content-Encoding": "gzip", "Cache-Control": "max-age=86400"}
        return Response(content, media_type=_PACKED[name], headers=headers)

    return router
