"""The page of the OpenAPI document asks nobody else."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.gateway_app import LocalReplies, asking, gateway_app


async def test_the_page_has_all_that_it_needs(models: Path, replies: LocalReplies) -> None:
    async with asking(gateway_app(models, replies)) as client:
        page = await client.get("/docs")
        needed = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
        parts = {path: await client.get(path) for path in needed}
        unknown = await client.get("/docs/nothing.js")

    assert len(parts) == 3
    assert all(part.status_code == 200 for part in parts.values())
    assert b"SwaggerUIBundle" in parts["/docs/swagger-ui-bundle.js"].content
    assert "http" not in page.text
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert unknown.status_code == 404
