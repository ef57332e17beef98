"""The page as a browser sees it: a picture without workers, dead letters of a real Kafka.

`python -m tests.support.shown_page` writes the pictures of docs/status.md again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import orjson
import uvicorn
from playwright.async_api import Browser, Page

from streamproc.clock import SystemClock
from streamproc.kafka.embedded import EmbeddedBroker
from streamproc.kafka.lag import TopicLag
from streamproc.kafka.producer import Producer
from streamproc.kafka.topic_admin import TopicAdmin
from streamproc.kafka.topics import load_topics
from streamproc.messages.outgoing import dead_letter
from streamproc.messages.record import Headers, Record
from streamproc.messages.response import Problem
from streamproc.settings import Settings
from streamproc.web.page.app import build_page
from tests.support.browser import chromium
from tests.support.command import ROOT
from tests.support.states import NOW_MS, ShownStatus, picture, worker_state

TOPIC: Final = "nlp.text-classification.requests.v1"
LETTERS: Final = "nlp.text-classification.dlq.v1"
HOSTILE: Final = (
    "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
)
PICTURES: Final = ROOT / "docs" / "pictures"


def scripted_answer() -> bytes:
    """Of three members, one of which thinks otherwise."""

    def result(positive: float) -> dict[str, Any]:
        scores = {"positive": positive, "negative": round(1 - positive, 3)}
        label = max(scores, key=lambda name: scores[name])
        return {"label": label, "score": scores[label], "scores": scores}

    members = [
        {"name": name, "version": "1", "status": "ok", "result": result(positive)}
        for name, positive in (("books", 0.6), ("films", 0.1), ("kitchen", 0.04))
    ]
    answer = {"id": "1", "task": "text-classification", "status": "ok", "ensemble": "sentiment"}
    more = {"result": result(0.247), "members": members, "agreement": 0.667, "entropy": 0.559}
    coverage = {
        "chunks": 1,
        "characters": 73,
        "characters_covered": 73,
        "truncated": False,
    }
    timing = {"queue_ms": 0.4, "inference_ms": 11.2, "total_ms": 12.1, "age_ms": 2}
    return orjson.dumps({**answer, **more, "coverage": coverage, "timing": timing})


async def leave_letters(
    settings: Settings, letters: Sequence[tuple[bytes, bytes, Headers]]
) -> None:
    """Dead letters of text-classification. letters: key, value and headers of the originals"""
    async with TopicAdmin(settings) as admin:
        await admin.create_missing(load_topics(settings.topics_dir).topics.values())
    producer = Producer(settings, SystemClock())
    await producer.start()
    for offset, (key, value, headers) in enumerate(letters):
        came = Record(TOPIC, 0, offset, 0, key, value, headers)
        problem = Problem("invalid", "invalid request", f"text: {value.decode('utf-8', 'replace')}")
        await producer.send(dead_letter(came, problem, key.decode("utf-8", "replace"), LETTERS))
    await producer.stop()


@asynccontextmanager
async def shown_page(settings: Settings, status: Any = None) -> AsyncIterator[str]:
    """The address of a page that is served in this process."""

    async def ask(topic: str, value: bytes, key: bytes, wait_s: float) -> bytes:
        return scripted_answer()

    status = status or ShownStatus(picture(worker_state()))
    app = build_page(settings, status, ask, SystemClock(), local_only=True)
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells it in no other way
        await asyncio.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def opened(
    browser: Browser, address: str, *, dark: bool = False, width: int = 1100
) -> AsyncIterator[tuple[Page, list[str]]]:
    """A page in a browser of its own, and what went wrong in it."""
    context = await browser.new_context(
        color_scheme="dark" if dark else "light",
        viewport={"width": width, "height": 780},
        reduced_motion="reduce",
    )
    page = await context.new_page()
    page.set_default_timeout(60_000)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    await page.goto(address)
    await page.wait_for_selector("#connection.good")
    try:
        yield page, wrong
    finally:
        await context.close()


async def ask_and_wait(page: Page) -> None:
    """Ask the playground its sample."""
    await page.click("nav a[data-view=playground]")
    await page.click("#ask button[type=submit]")
    await page.wait_for_selector("#answer .cards")


async def open_first_letter(page: Page) -> None:
    """Open the first dead letter, as Ada."""
    await page.click("nav a[data-view=letters]")
    await page.fill("#who", "Ada")
    await page.click("button.link >> nth=0")
    await page.wait_for_selector("#letter article")


async def _take(folder: Path) -> None:
    lags = {
        "requests": TopicLag(True, 212, NOW_MS - 2_400),
        "bulk": TopicLag(True, 48_000, NOW_MS - 900_000),
    }
    agreeing = [one.model_copy(update={"disagreements": []}) for one in worker_state().ensembles]
    both = (worker_state("shop-1"), worker_state("shop-2", ensembles=agreeing))
    status = ShownStatus(picture(*both, lags=lags))
    letters: list[tuple[bytes, bytes, Headers]] = [
        (b"order-17", b'{"id": "order-17", "text": 7}', (("traceparent", b"00-0af7-b7ad-01"),)),
        (b"order-18", b'{"id": "order-18", "texts": "Good"}', ()),
    ]
    with EmbeddedBroker() as broker:
        settings = Settings(kafka_bootstrap_servers=broker.bootstrap_servers)
        await leave_letters(settings, letters)
        async with shown_page(settings, status) as address, chromium() as browser:
            async with opened(browser, address) as (page, _):
                await page.screenshot(path=folder / "overview.png", full_page=True)
                await ask_and_wait(page)
                await page.screenshot(path=folder / "playground.png")
                await open_first_letter(page)
                await page.click("text=Redrive this one")
                await page.wait_for_selector(".card.ask")
                await page.screenshot(path=folder / "redrive.png")
            async with opened(browser, address, dark=True, width=390) as (page, _):
                await page.screenshot(path=folder / "overview-phone-dark.png")
    _shrink(folder)


def _shrink(folder: Path) -> None:
    """Few colours: a page has no more, and a picture then has a quarter of the bytes."""
    from PIL import Image

    for file in folder.glob("*.png"):
        with Image.open(file) as taken:
            taken.convert("RGB").quantize(64).save(file, optimize=True)


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    asyncio.run(_take(PICTURES))
