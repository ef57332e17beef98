"""`streamproc worker`: answers requests until SIGTERM or Ctrl-C, then drains."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Annotated

import structlog
import typer
from rich.console import Console
from rich.table import Table

from streamproc.bootstrap import run_worker
from streamproc.cli.options import warn_of_variables, with_settings
from streamproc.logs import configure_logging
from streamproc.settings import Settings, variables_that_are_no_settings

if sys.platform == "win32":
    from asyncio import run
else:
    from uvloop import run

log = structlog.get_logger(__name__)


@with_settings(warns=False)
def worker(
    settings: Settings,
    show_settings: Annotated[
        bool, typer.Option("--show-settings", help="print every setting and exit")
    ] = False,
) -> None:
    """Consume requests, answer them, publish responses; SIGTERM drains and commits first."""
    if show_settings:
        warn_of_variables()
        _print_settings(settings)
        return
    configure_logging(settings)
    for variable in variables_that_are_no_settings():
        log.warning("no such setting", variable=variable.name, did_you_mean=variable.meant)
    run(_until_told_to_stop(settings))


async def _until_told_to_stop(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run_worker(settings, stop)


def _print_settings(settings: Settings) -> None:
    if not sys.stdout.isatty():
        for name, value in settings.shown().items():
            typer.echo(f"{name}={value}")
        return
    table = Table("variable", "value", "what it is")
    for (name, value), field in zip(
        settings.shown().items(), Settings.model_fields.values(), strict=True
    ):
        table.add_row(name, value, field.description)
    Console().print(table)
