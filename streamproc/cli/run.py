"""`streamproc run`: the same pipeline over a file, without Kafka."""

from __future__ import annotations

from typing import Annotated

import typer

from streamproc.cli.answer_options import Encoding, File, Form, Fresh, Output
from streamproc.cli.options import LOCAL_MODELS, with_settings
from streamproc.settings import Settings


@with_settings(LOCAL_MODELS)
def run(
    settings: Settings,
    file: File,
    task: Annotated[str, typer.Option(help="the task")] = "text-classification",
    ensemble: Annotated[
        str | None, typer.Option(help="of rows that name none; default: the task's topics say")
    ] = None,
    output: Output = None,
    form: Form = None,
    encoding: Encoding = None,
    fresh: Fresh = False,
    outstanding: Annotated[int, typer.Option(min=1, help="requests in the works")] = 1024,
) -> None:
    """Answer every row of a file with local models; results come as JSON Lines in input order.

    With --output answers are kept as they come, in OUTPUT.part; after Ctrl-C the same command goes
    on from there.
    """
    import asyncio

    from streamproc.cli.answered_file import open_answered_file
    from streamproc.cli.answered_here import answer_here, digest_of_manifests
    from streamproc.clock import SystemClock
    from streamproc.logs import configure_logging
    from streamproc.serving.tasks.catalogue import task_named

    configure_logging(settings)
    with open_answered_file(
        file,
        output,
        task_named(task),
        SystemClock(),
        form=form,
        encoding=encoding,
        fresh=fresh,
        asked=(task, ensemble, digest_of_manifests(settings.models_dir)),
    ) as answered:
        asyncio.run(answer_here(settings, answered, str(file), task, ensemble, outstanding))
