"""A real Chromium for tests of the page: the system's, playwright's, or one that npm has."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from tests.support.fetched_chromium import Chromium, NoChromium, fetched_chromium

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser without a window; skips the test where none can be had."""
    async with async_playwright() as play:
        try:
            found = _installed(play.chromium.executable_path) or fetched_chromium()
        except NoChromium as error:
            pytest.skip(
                f"no Chromium: {error}; install the package `chromium` of the system, or run "
                "`playwright install chromium`"
            )
        # Its sandbox needs rights that root in a container does not have.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = await play.chromium.launch(
            executable_path=found.program, args=arguments, env={**found.environment}
        )
        try:
            yield browser
        finally:
            await browser.close()


def _installed(own: str) -> Chromium | None:
    """Where a browser lies: the system's, or the one that playwright brings."""
    system = next((path for name in NAMES if (path := shutil.which(name))), None)
    found = system or (own if Path(own).exists() else None)
    return None if found is None else Chromium(Path(found), dict(os.environ))
