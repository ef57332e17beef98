"""What axe, the usual checker of accessibility, finds wrong with a page as a browser shows it."""

from __future__ import annotations

import gzip
from typing import Any

from playwright.async_api import Page

from tests.support.command import ROOT

AXE = ROOT / "tests" / "fixtures" / "axe" / "axe.min.js.gz"


async def violations(page: Page) -> list[str]:
    """Everything that breaks a rule, or may do so: the rule and the element, of any impact."""
    await page.evaluate(gzip.decompress(AXE.read_bytes()).decode())
    found: dict[str, Any] = await page.evaluate("axe.run(document)")
    return [
        f"{rule['id']} {element['html']}"
        for kind in ("violations", "incomplete")
        for rule in found[kind]
        for element in rule["nodes"]
    ]
