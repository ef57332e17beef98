"""The page as a gateway serves it: behind the keys of its callers, and counted as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from streamproc.web.gateway.security.key_file import ApiKey, hashed, new_key, write_keys
from streamproc.web.page.app import STATIC
from tests.support.gateway_app import LocalReplies, asking, gateway_app

ASKED = {"task": "text-classification", "text": "good", "params": {"return_members": True}}


def made_key(file: Path, **limits: int) -> dict[str, str]:
    """The headers of a caller whose key is in a file."""
    key = new_key()
    write_keys(file, [ApiKey(name="ann", sha256=hashed(key), created="now", **limits)])
    return {"Authorization": f"Bearer {key}"}


async def ask(client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    origin = {"Origin": str(client.base_url).rstrip("/")}
    return await client.post("/page/api/ask", json=ASKED, headers=headers | origin)


async def test_on_loopback_the_page_is_there_and_asks_as_any_caller(
    models: Path, replies: LocalReplies
) -> None:
    async with asking(gateway_app(models, replies, page="auto")) as client:
        shown = await client.get("/page/")
        answer = await ask(client, {})
        elsewhere = await client.get("/page/api/status", headers={"Host": "evil.example"})

    assert (shown.status_code, shown.content) == (200, (STATIC / "index.html").read_bytes())
    assert answer.json()["response"]["result"]["label"] in {"negative", "positive"}
    assert elsewhere.status_code == 403
    assert len(replies.asked) == 1


@pytest.mark.parametrize(
    "settings",
    [{"page": "off"}, {"page": "auto", "host": "0.0.0.0", "without_keys": True}],  # noqa: S104
    ids=["off", "on a network"],
)
async def test_elsewhere_it_is_not_there_unless_somebody_wants_it(
    models: Path, replies: LocalReplies, settings: dict[str, Any]
) -> None:
    async with asking(gateway_app(models, replies, **settings)) as client:
        assert (await client.get("/page/")).status_code == 404
        assert (await client.get("/page/api/status")).status_code == 404


async def test_where_callers_need_a_key_the_page_shows_nothing_without_one(
    models: Path, replies: LocalReplies, tmp_path: Path
) -> None:
    file = tmp_path / "keys.toml"
    known = made_key(file)
    app = gateway_app(models, replies, page="on", host="0.0.0.0", keys_file=file)  # noqa: S104
    async with asking(app, host="gateway.example") as client:
        for path in ("/page/", *(f"/page/static/{one.name}" for one in STATIC.iterdir())):
            assert (await client.get(path)).status_code == 200
        for path in ("status", "events", "letters", "letter?offset=0:0", "tasks"):
            refused = await client.get(f"/page/api/{path}")
            assert refused.status_code == 401
            assert refused.json()["type"] == "urn:streamproc:problem:unauthorized"
        for path in ("/page/static/../api/status", "/page/static/%2e%2e/api/status"):
            assert (await client.get(path)).status_code in (401, 404)
        redrive = {"place": "task:text-classification", "by": "ann", "all": True}
        origin = {"Origin": "http://gateway.example"}
        refused = await client.post("/page/api/letters/redrive", json=redrive, headers=origin)
        assert refused.status_code == 401
        assert (await ask(client, {})).status_code == 401
        assert (await ask(client, {"Authorization": "Bearer spk_no"})).status_code == 401
        assert replies.asked == []

        assert (await client.get("/page/api/status", headers=known)).json()["group"]
        assert (await ask(client, known)).status_code == 200


async def test_what_a_caller_asks_by_the_page_counts_against_its_minute(
    models: Path, replies: LocalReplies, tmp_path: Path
) -> None:
    file = tmp_path / "keys.toml"
    known = made_key(file, requests_per_minute=1)
    app = gateway_app(models, replies, page="on", keys_file=file)
    async with asking(app) as client:
        answered = await ask(client, known)
        refused = await ask(client, known)
        by_api = await client.post("/v1/text-classification", json={"text": "x"}, headers=known)

    assert answered.status_code == 200
    assert (refused.status_code, by_api.status_code) == (429, 429)
    assert int(refused.headers["Retry-After"]) > 0
    assert "1 requests" in refused.json()["detail"]
    assert len(replies.asked) == 1
