"""`streamproc status`: how a group of workers does, in the terminal or as a page."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from streamproc.cli.options import KAFKA, with_settings
from streamproc.cli.terminal import print_json, stdout_console
from streamproc.settings import Settings

if TYPE_CHECKING:
    from streamproc.status.feed import StatusFeed

WATCH_INTERVAL_S = 2.0
_FLAGS = (*KAFKA, "group_id", "topics_dir", "routes_dir", "max_message_bytes")


@with_settings(_FLAGS)
def status(
    settings: Settings,
    json: Annotated[
        bool, typer.Option("--json", help="print JSON; with --watch a line each time")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="show it again every two seconds, until Ctrl-C")
    ] = False,
) -> None:
    """Show how workers do: what waits, how fast it is answered, and every member of ensembles."""
    with suppress(KeyboardInterrupt):
        asyncio.run(_shown(settings, json=json, watch=watch))


async def _shown(settings: Settings, *, json: bool, watch: bool) -> None:
    from streamproc.clock import SystemClock
    from streamproc.status.feed import StatusFeed

    async with StatusFeed(settings, SystemClock()) as feed:
        if not watch:
            _print_once(feed, json=json)
        elif json:
            await _print_lines(feed)
        else:
            await _redraw(feed)


def _print_once(feed: StatusFeed, *, json: bool) -> None:
    from streamproc.cli.status_view import print_overview

    if json:
        print_json(feed.overview().as_json())
    else:
        print_overview(stdout_console(), feed.overview())


async def _print_lines(feed: StatusFeed) -> None:
    import orjson

    while True:
        sys.stdout.buffer.write(orjson.dumps(feed.overview().as_json()) + b"\n")
        sys.stdout.buffer.flush()
        await asyncio.sleep(WATCH_INTERVAL_S)


async def _redraw(feed: StatusFeed) -> None:
    from rich.live import Live

    from streamproc.cli.status_view import drawn

    console = stdout_console()
    with Live(drawn(feed.overview()), console=console, auto_refresh=False, screen=True) as live:
        while True:
            live.update(drawn(feed.overview()), refresh=True)
            await asyncio.sleep(WATCH_INTERVAL_S)
