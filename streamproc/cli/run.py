"""`streamproc run`: the same pipeline over a file, without Kafka."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from streamproc.bootstrap import local_pipeline
from streamproc.cli.answering import ask_each, asking, write_answers
from streamproc.cli.options import with_settings
from streamproc.cli.rows import Format, read_rows
from streamproc.clock import SystemClock
from streamproc.errors import OperatorError, WorkerFault
from streamproc.logs import configure_logging
from streamproc.settings import Settings
from streamproc.tasks.catalogue import task_named

FLAGS = (
    "models_dir",
    "device",
    "threads",
    "max_resident_mb",
    "max_message_bytes",
    "batch_budget_tokens",
    "max_document_chunks",
    "call_timeout_s",
    "log_level",
    "log_format",
)


@with_settings(FLAGS)
def run(
    settings: Settings,
    file: Annotated[Path, typer.Argument(help="JSON Lines, CSV or a text a line; - for stdin")],
    task: Annotated[str, typer.Option(help="the task")] = "text-classification",
    ensemble: Annotated[str | None, typer.Option(help="default: the task's topics say")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="default: stdout")] = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="default: by the file's name")
    ] = None,
    outstanding: Annotated[int, typer.Option(min=1, help="requests in the works")] = 1024,
) -> None:
    """Answer every row of a file with local models; results come as JSON Lines in input order."""
    configure_logging(settings)
    asyncio.run(_run(settings, file, task, ensemble, output, form, outstanding))


async def _run(
    settings: Settings,
    file: Path,
    task: str,
    ensemble: str | None,
    output: Path | None,
    form: Format | None,
    outstanding: int,
) -> None:
    clock = SystemClock()
    async with local_pipeline(settings, task, ensemble, clock) as pipeline:
        ask = asking(pipeline, settings, clock, str(file))
        rows = read_rows(file, form, task_named(task))
        try:
            await write_answers(ask_each(rows, ask, outstanding), output)
        except WorkerFault as fault:
            raise OperatorError(f"the models can't run: {fault}") from None
