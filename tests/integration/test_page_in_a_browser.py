"""The page in a real browser: what an operator does with it, and what a hostile record can't do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from streamproc.kafka.topic_reader import read_topic
from streamproc.settings import Settings
from streamproc.status.letters import REDRIVEN_AT, REDRIVEN_BY
from streamproc.web.gateway.security.key_file import ApiKey, hashed, new_key, write_keys
from tests.support.accessibility import violations
from tests.support.browser import chromium
from tests.support.gateway_app import LocalReplies, gateway_app, listening
from tests.support.shown_page import (
    HOSTILE,
    TOPIC,
    ask_and_wait,
    leave_letters,
    open_first_letter,
    opened,
    shown_page,
)
from tests.support.small_ensembles import write_small_ensembles
from tests.support.states import ShownStatus, picture, worker_state


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as found:
        yield found


async def test_it_is_live_filters_and_fits_a_phone(browser: Browser, kafka: str) -> None:
    settings = Settings(kafka_bootstrap_servers=kafka)
    async with shown_page(settings) as address:
        async with opened(browser, address) as (page, wrong):
            assert "1 of 1" in await page.inner_text("#strip")
            rows = page.locator("#sources tbody tr")
            assert await rows.count() == 2
            await page.fill("#filter", "shop")
            assert await rows.count() == 1
            assert "shop-reviews" in await rows.nth(0).inner_text()
            assert wrong == []
        async with opened(browser, address, dark=True, width=390) as (page, wrong):
            assert await page.evaluate("document.documentElement.scrollWidth") <= 390
            assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
            await page.click("#theme")
            assert await page.evaluate("document.documentElement.dataset.theme") == "light"
            assert wrong == []


@pytest.mark.parametrize(
    ("dark", "width"), [(False, 1100), (True, 390)], ids=["light and wide", "dark on a phone"]
)
async def test_axe_finds_nothing_that_keeps_people_out(
    browser: Browser, kafka: str, dark: bool, width: int
) -> None:
    settings = Settings(kafka_bootstrap_servers=kafka)
    await leave_letters(settings, [(b"k", b"\xff\x00", ((HOSTILE, b"v"),))])
    not_ready = worker_state("shop-2", ready=False, reasons=["Kafka is away"])
    status = ShownStatus(picture(worker_state(), not_ready))
    async with (
        shown_page(settings, status) as address,
        opened(browser, address, dark=dark, width=width) as (page, _),
    ):
        assert await violations(page) == []
        await ask_and_wait(page)
        await page.click("summary")
        assert await violations(page) == []
        await open_first_letter(page)
        await page.click("text=Redrive this one")
        await page.wait_for_selector(".card.ask")
        assert await violations(page) == []


async def test_axe_would_find_what_keeps_people_out(browser: Browser) -> None:
    page = await browser.new_page()
    await page.set_content("<html lang=en><title>t</title><main><h1>h</h1><img src=x></main>")
    assert [found.partition(" ")[0] for found in await violations(page)] == ["image-alt"]


async def test_behind_keys_it_asks_for_one_and_shows_nothing_before(
    browser: Browser, tmp_path: Path
) -> None:
    key = new_key()
    models, keys = tmp_path / "models", tmp_path / "keys.toml"
    write_small_ensembles(models, ("text-classification",))
    write_keys(keys, [ApiKey(name="ann", sha256=hashed(key), created="now")])
    replies = LocalReplies(models, "text-classification")
    with listening(gateway_app(models, replies, page="on", keys_file=keys)) as address:
        context = await browser.new_context()
        page = await context.new_page()
        await page.goto(f"{address}/page/")
        await page.wait_for_selector("#key-dialog")
        assert await violations(page) == []
        assert await page.inner_text("#strip") == ""
        await page.fill("#key", "spk_wrong")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#key-dialog:has-text('not known')")
        await page.fill("#key", f" {key} ")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#connection.good")
        await ask_and_wait(page)
        assert "Combined" in await page.inner_text("#answer")
        assert key not in page.url
        # Another tab is another session, and asks again.
        other = await context.new_page()
        await other.goto(f"{address}/page/")
        await other.wait_for_selector("#key-dialog")
        await context.close()


async def test_everything_is_reached_by_the_keyboard(browser: Browser, kafka: str) -> None:
    async with (
        shown_page(Settings(kafka_bootstrap_servers=kafka)) as address,
        opened(browser, address) as (page, _),
    ):
        reached = []
        for _ in range(7):
            await page.keyboard.press("Tab")
            reached.append(await page.evaluate("document.activeElement.textContent.trim()"))
        assert reached[:5] == [
            "Skip to content",
            "Overview",
            "Dead letters",
            "Playground",
            "Dark",
        ]
        await page.focus("nav a[data-view=playground]")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#ask")


async def test_the_playground_shows_each_members_answer(browser: Browser, kafka: str) -> None:
    async with (
        shown_page(Settings(kafka_bootstrap_servers=kafka)) as address,
        opened(browser, address) as (page, wrong),
    ):
        await ask_and_wait(page)
        said = await page.inner_text("#answer")
        assert all(name in said for name in ("Combined", "books", "films", "kitchen", "75 %"))
        assert "Cut into 1 chunk" in said
        await page.click("summary")
        assert "curl http://127.0.0.1:8080/v1/text-classification" in await page.inner_text(
            "#answer"
        )
        assert wrong == []


async def test_a_hostile_letter_is_text_and_is_redriven_by_name(
    browser: Browser, kafka: str
) -> None:
    settings = Settings(kafka_bootstrap_servers=kafka)
    hostile = HOSTILE.encode()
    await leave_letters(settings, [(hostile, hostile, ((HOSTILE, hostile),))])
    before = [record async for record in read_topic(settings, TOPIC)]
    async with shown_page(settings) as address, opened(browser, address) as (page, wrong):
        await open_first_letter(page)
        shown = await page.inner_text("#letters")
        assert shown.count("<script>document.title='owned'</script>") >= 4
        assert await page.title() == "streamproc"
        assert await page.locator("#letters img, #letters script").count() == 0
        await page.click("text=Redrive this one")
        await page.wait_for_selector(".card.ask")
        assert len([record async for record in read_topic(settings, TOPIC)]) == len(before)
        await page.click(".card.ask .danger")
        await page.wait_for_selector("text=sent again by Ada")
        assert wrong == []
    sent = [record async for record in read_topic(settings, TOPIC)]
    (again,) = [one for one in sent if one not in before]
    assert (again.key, again.value) == (hostile, hostile)
    assert again.header(REDRIVEN_BY) == b"Ada"
    assert (again.header(REDRIVEN_AT) or b"").endswith(b"+00:00")
    assert again.header(HOSTILE) == hostile


async def test_without_a_name_nothing_is_redriven(browser: Browser, kafka: str) -> None:
    settings = Settings(kafka_bootstrap_servers=kafka)
    await leave_letters(settings, [(b"k", b"{}", ())])
    async with shown_page(settings) as address, opened(browser, address) as (page, _):
        await page.click("nav a[data-view=letters]")
        await page.click("text=Redrive all")
        await page.wait_for_selector("text=Say who you are first")
        assert await page.locator(".card.ask").count() == 0
