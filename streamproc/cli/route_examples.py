"""The examples of routes, run, and what is said of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from streamproc.settings import Settings

if TYPE_CHECKING:
    from streamproc.cli.terminal import TerminalConsole
    from streamproc.enrichment.route import Route


def run_examples(settings: Settings, routes: Mapping[Path, Route]) -> dict[str, list[str]]:
    """By route, where an event that comes out is not what is expected, a line a place."""
    from streamproc.clock import SystemClock
    from streamproc.worker.local_routes import example_differences

    return {
        route.name: asyncio.run(example_differences(settings, route, file.parent, SystemClock()))
        for file, route in routes.items()
    }


def advice(settings: Settings, routes: Mapping[Path, Route]) -> dict[str, list[str]]:
    """By route, what is probably not what was meant; routes without any are left out."""
    from streamproc.enrichment.advice import advice_for_workers

    url = settings.schema_registry_url
    said = {one.name: advice_for_workers(one, url) for one in routes.values()}
    return {name: lines for name, lines in said.items() if lines}


def print_advice(console: TerminalConsole, advice: Mapping[str, list[str]]) -> None:
    """A line for each piece of it."""
    for name, lines in advice.items():
        for line in lines:
            console.print(f"look at {name}: {line}")


def print_examples(
    console: TerminalConsole, routes: Mapping[Path, Route], differences: Mapping[str, list[str]]
) -> None:
    """A line a route, and one a difference."""
    for route in routes.values():
        ran, lines = len(route.examples), differences[route.name]
        if not ran:
            console.print(f"{route.name}: no examples; the models that it asks are there")
            continue
        examples = "1 example" if ran == 1 else f"{ran} examples"
        found = "1 difference" if len(lines) == 1 else f"{len(lines) or 'no'} differences"
        console.print(f"{route.name}: {examples}, {found}")
        for line in lines:
            console.print(f"  {line}")
