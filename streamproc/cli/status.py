"""`streamproc status`: how a group of workers does, in the terminal or as a page."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from streamproc.cli.interruption import stop_on_signals
from streamproc.cli.options import KAFKA, with_settings
from streamproc.cli.terminal import print_json, stdout_console
from streamproc.errors import OperatorError
from streamproc.settings import Settings

if TYPE_CHECKING:
    from streamproc.status.feed import StatusFeed

WATCH_INTERVAL_S = 2.0
_FLAGS = (
    *KAFKA,
    "group_id",
    "topics_dir",
    "routes_dir",
    "max_message_bytes",
    "models_dir",
    "log_level",
    "log_format",
)


@with_settings(_FLAGS)
def status(
    settings: Settings,
    json: Annotated[
        bool, typer.Option("--json", help="print JSON; with --watch a line each time")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="show it again every two seconds, until Ctrl-C")
    ] = False,
    web: Annotated[
        bool, typer.Option("--web", help="serve it as a page, with dead letters and a playground")
    ] = False,
    host: Annotated[str, typer.Option(help="address that the page listens on")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="port of the page; 0: any free port")
    ] = 8180,
) -> None:
    """Show how workers do: what waits, how fast it is answered, and every member of ensembles."""
    if web and (json or watch):
        raise OperatorError("--web shows a page, which --json and --watch have no part in")
    with suppress(KeyboardInterrupt):
        asyncio.run(
            _served(settings, host, port) if web else _shown(settings, json=json, watch=watch)
        )


async def _served(settings: Settings, host: str, port: int) -> None:
    try:
        from streamproc.web.page.server import serve_page
    except ModuleNotFoundError as error:
        raise OperatorError(f"the page needs {error.name}; install streamproc[gateway]") from None
    from streamproc.logs import configure_logging

    configure_logging(settings)
    stop = asyncio.Event()
    stop_on_signals(stop)

    def tell(address: str) -> None:
        stdout_console().print(f"the page is at {address} · Ctrl-C stops it", soft_wrap=True)

    await serve_page(settings, host, port, stop, tell)


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

    from streamproc.cli.status_view import fitted

    console = stdout_console()
    with Live(
        fitted(console, feed.overview()), console=console, auto_refresh=False, screen=True
    ) as live:
        while True:
            live.update(fitted(console, feed.overview()), refresh=True)
            await asyncio.sleep(WATCH_INTERVAL_S)
