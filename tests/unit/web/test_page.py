"""The page's application without a Kafka: who may ask what, and what browsers are told."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from streamproc.clock import SystemClock
from streamproc.errors import OperatorError
from streamproc.settings import Settings
from streamproc.web.loopback import is_loopback
from streamproc.web.page.app import STATIC, build_page
from streamproc.web.page.guard import POLICY
from tests.support.states import ShownStatus, picture, worker_state

AT = "http://127.0.0.1:8180"
SAME = {"Origin": AT, "Content-Type": "application/json"}


def page(host: str = "127.0.0.1", answer: bytes | None = None) -> Starlette:
    async def ask(topic: str, value: bytes, key: bytes, wait_s: float) -> bytes:
        asked.append(orjson.loads(value) | {"topic": topic})
        if answer is None:
            raise OperatorError("nobody answers")
        return answer

    asked: list[dict[str, Any]] = []
    status: Any = ShownStatus(picture(worker_state()))
    app = build_page(Settings(), status, ask, SystemClock(), local_only=is_loopback(host))
    app.state.asked = asked
    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(page()), base_url=AT) as made:
        yield made


async def test_the_page_and_its_files_are_served_with_a_strict_policy(
    client: httpx.AsyncClient,
) -> None:
    for file in sorted(STATIC.iterdir()):
        address = "/" if file.name == "index.html" else f"/static/{file.name}"
        answer = await client.get(address)
        assert (answer.status_code, answer.content) == (200, file.read_bytes())
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_nothing_of_the_page_needs_the_network_or_reads_text_as_html() -> None:
    for file in STATIC.iterdir():
        text = file.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        text = text.replace("http://127.0.0.1:8080/", "")
        assert not re.search(r"https?://|//cdn|@import", text), file.name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)
        assert not re.search(r"\sstyle=|\son[a-z]+=\"", text), file.name


async def test_it_shows_the_picture(client: httpx.AsyncClient) -> None:
    shown = (await client.get("/api/status")).json()
    assert shown["strip"]["ready"] == 1
    assert len(shown["rates"]["text-classification/interactive"]) == 90


async def test_another_name_that_leads_to_this_address_is_refused(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/api/status", headers={"Host": "evil.example:8180"})
    assert answer.status_code == 403
    assert (await client.get("/api/status", headers={"Host": "localhost:9"})).status_code == 200


async def test_on_an_address_for_others_any_name_will_do() -> None:
    transport = httpx.ASGITransport(page(host="0.0.0.0"))  # noqa: S104
    async with httpx.AsyncClient(transport=transport, base_url="http://status.example") as client:
        assert (await client.get("/api/status")).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json"},
        {**SAME, "Origin": "http://evil.example"},
        {**SAME, "Origin": "null"},
        {**SAME, "Origin": "http://127.0.0.1:9999"},
        {**SAME, "Content-Type": "text/plain"},
        {"Origin": AT},
    ],
    ids=["no origin", "another", "null", "another port", "text", "no type"],
)
@pytest.mark.parametrize("address", ["/api/ask", "/api/letters/redrive"])
async def test_what_another_page_posts_is_refused(
    client: httpx.AsyncClient, headers: dict[str, str], address: str
) -> None:
    answer = await client.post(address, content=b"{}", headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "place"),
        (b'{"place": "task:text-classification", "by": "ada"}', "choose letters"),
        (b'{"place": "task:text-classification", "all": true}', "by"),
        (b'{"place": "task:text-classification", "by": " ", "all": true}', "by"),
        (b'{"place": "task:unknown", "by": "ada", "all": true}', "task:unknown"),
        (b'{"place": "task:text-classification", "by": "ada", "everything": true}', "everything"),
    ],
    ids=["no JSON", "nothing chosen", "nobody", "blank", "unknown place", "unknown field"],
)
async def test_a_redrive_that_says_too_little_is_refused(
    client: httpx.AsyncClient, body: bytes, said: str
) -> None:
    answer = await client.post("/api/letters/redrive", content=body, headers=SAME)
    assert answer.status_code in (404, 422)
    assert said in answer.json()["detail"] or body == b"{"


async def test_the_playground_asks_as_any_client_and_shows_how_the_text_is_cut() -> None:
    answer = orjson.dumps({"id": "1", "status": "ok", "result": {"label": "positive"}})
    app = page(answer=answer)
    text = "Good. " * 400
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=AT) as client:
        body = {"task": "text-classification", "text": text, "params": {"return_members": True}}
        found = (await client.post("/api/ask", json=body, headers=SAME)).json()
    assert found["response"] == orjson.loads(answer)
    assert found["chunks"][0][0] == 0
    assert found["chunks"][-1][1] == len(text)
    assert len(found["chunks"]) > 1
    (asked,) = app.state.asked
    assert asked["topic"] == "nlp.text-classification.requests.v1"
    assert (asked["text"], asked["params"]) == (text, {"return_members": True})
    assert "task" not in asked


@pytest.mark.parametrize(
    "wrong", [{"params": [1]}, {"params": "x"}, {"ensemble": [1]}, {"ensemble": 5}]
)
async def test_what_is_wrong_with_a_request_the_answer_says(wrong: dict[str, object]) -> None:
    answer = orjson.dumps({"id": "1", "status": "error", "error": {"type": "invalid"}})
    app = page(answer=answer)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=AT) as client:
        body = {"task": "text-classification", "text": "Good.", **wrong}
        found = (await client.post("/api/ask", json=body, headers=SAME)).json()
    assert found == {"response": orjson.loads(answer), "chunks": []}


async def test_a_translation_is_asked_sentence_by_sentence_too() -> None:
    answer = orjson.dumps({"status": "ok", "result": {"translation_text": "ja"}})
    app = page(answer=answer)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=AT) as client:
        body = {"task": "translation", "text": "It rains. We stay."}
        found = (await client.post("/api/ask", json=body, headers=SAME)).json()
    assert [one["text"] for one in found["sentences"]] == ["It rains.", "We stay."]
    assert len(app.state.asked) == 3


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[1]", 400),
        (b"{", 400),
        (b'{"text": "x"}', 404),
        (b'{"task": ["x"]}', 404),
        (b'{"task": "text-classification", "text": "x"}', 503),
        (b'{"task": "text-classification", "text": "' + b"x" * (1 << 20) + b'"}', 413),
    ],
    ids=["no object", "no JSON", "no task", "no name", "nobody answers", "too large"],
)
async def test_a_question_that_has_no_answer_gets_a_reason(
    client: httpx.AsyncClient, body: bytes, status: int
) -> None:
    answer = await client.post("/api/ask", content=body, headers=SAME)
    assert answer.status_code == status
    assert answer.json()["detail"]


async def test_it_works_below_another_path() -> None:
    app = Starlette(routes=[Mount("/page", page())])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=AT) as client:
        assert (await client.get("/page/")).status_code == 200
        assert (await client.get("/page/static/app.js")).status_code == 200
        assert (await client.get("/page/api/status")).json()["group"] == "streamproc"
