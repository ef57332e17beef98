"""A real Chromium for tests of the page; they skip where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser without a window; skips the test where none is found."""
    async with async_playwright() as play:
        found = _installed(play.chromium.executable_path)
        if found is None:
            pytest.skip(
                "no Chromium: install the package `chromium` of the system, or run "
                "`playwright install chromium`"
            )
        # Its sandbox needs rights that root in a container does not have.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = await play.chromium.launch(executable_path=found, args=arguments)
        try:
            yield browser
        finally:
            await browser.close()


def _installed(own: str) -> str | None:
    """Where a browser lies: the system's, or the one that playwright brings."""
    system = next((path for name in NAMES if (path := shutil.which(name))), None)
    return system or (own if Path(own).exists() else None)
