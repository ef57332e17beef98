"""`streamproc worker`: answers requests until SIGTERM or Ctrl-C, then drains."""

from __future__ import annotations

import asyncio
import gc
from functools import partial
from typing import Annotated

import typer

from streamproc.cli.options import warn_of_variables, with_settings
from streamproc.cli.service import run_service
from streamproc.settings import Settings, unknown_settings


@with_settings(warns=False)
def worker(
    settings: Settings,
    show_settings: Annotated[
        bool, typer.Option("--show-settings", help="print every setting and exit")
    ] = False,
) -> None:
    """Consume requests, answer them and publish responses, until SIGTERM.

    On SIGTERM or Ctrl-C requests in flight are finished and committed first.
    """
    if show_settings:
        warn_of_variables()
        _print_settings(settings)
        return
    # What is loaded stays, and looking through it again and again takes a seventh of the time that
    # imports do. `worker/garbage.py` lets the collector go on once all is there.
    gc.disable()
    try:
        run_service(settings, partial(_serve, settings))
    finally:
        gc.enable()


async def _serve(settings: Settings, stop: asyncio.Event) -> None:
    import structlog

    from streamproc.worker.run import run_worker

    for variable in unknown_settings():
        structlog.get_logger(__name__).warning(
            "unknown setting", variable=variable.name, did_you_mean=variable.meant
        )
    await run_worker(settings, stop)


def _print_settings(settings: Settings) -> None:
    from streamproc.cli.tables import print_table
    from streamproc.cli.terminal import stdout_console

    shown = settings.shown()
    console = stdout_console()
    if not console.is_terminal:
        for name, value in shown.items():
            console.print(f"{name}={value}")
        return
    described = (field.description or "" for field in Settings.model_fields.values())
    rows = [
        (name, value, what) for (name, value), what in zip(shown.items(), described, strict=True)
    ]
    print_table(console, ("variable", "value", "meaning"), rows)
