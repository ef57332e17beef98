"""`streamproc doctor`: what a worker needs, looked at one by one, each with what to do."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from streamproc.cli.options import KAFKA, SHARED_CACHE, with_settings
from streamproc.cli.terminal import print_json, stdout_console
from streamproc.logs.printable import printable
from streamproc.settings import Settings

_FLAGS = (
    *KAFKA,
    "group_id",
    "models_dir",
    "model_key",
    "topics_dir",
    "routes_dir",
    "device",
    "max_message_bytes",
    "max_in_flight_bytes",
    "cache_dir",
    *SHARED_CACHE,
)
_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "red")}


@with_settings(_FLAGS)
def doctor(
    settings: Settings,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Check broker, topics, models, device, memory, disk and versions, and say what to do.

    Exit code 1 when a worker could not work with what there is.
    """
    from streamproc.cli.examinations import examine

    findings = asyncio.run(examine(settings))
    failed = any(one.state == "failed" for one in findings)
    if json:
        print_json({"ok": not failed, "findings": [asdict(one) for one in findings]})
    else:
        console = stdout_console()
        for one in findings:
            mark, colour = _MARKS[one.state]
            console.print(
                Text.assemble(
                    (mark, colour), " ", (f"{one.name:<11}", "bold"), printable(one.found)
                )
            )
            if one.do:
                console.print(Text(f"  → {printable(one.do)}", colour), soft_wrap=True)
    if failed:
        raise typer.Exit(1)
