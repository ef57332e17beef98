"""`streamproc run`: the same pipeline over files, without Kafka."""

from __future__ import annotations

from typing import Annotated

import typer

from streamproc.cli.answer_options import (
    Encoding,
    Files,
    Form,
    Fresh,
    IdColumn,
    KeepColumns,
    Mapped,
    Output,
    RetryErrors,
    TaskName,
    TextColumn,
)
from streamproc.cli.options import CACHE, LOCAL_MODELS, with_settings
from streamproc.settings import Settings


@with_settings((*LOCAL_MODELS, *CACHE, "model_key", "profile"))
def run(
    settings: Settings,
    files: Files,
    task: TaskName = "text-classification",
    ensemble: Annotated[
        str | None,
        typer.Option(help="ensemble for rows that name none; default: that of the task's topics"),
    ] = None,
    output: Output = None,
    form: Form = None,
    encoding: Encoding = None,
    text_column: TextColumn = None,
    id_column: IdColumn = None,
    mapped: Mapped = None,
    keep_columns: KeepColumns = False,
    fresh: Fresh = False,
    retry_errors: RetryErrors = False,
    outstanding: Annotated[int, typer.Option(min=1, help="requests in flight at a time")] = 1024,
) -> None:
    """Answer every row and document with local models; results are in the order of the input.

    With --output, answers are kept in OUTPUT.part as they arrive; after Ctrl-C the same command
    resumes from there.
    """
    from streamproc.cli.answered_file import answer_file
    from streamproc.cli.reading_options import reading_options
    from streamproc.cli.terminal import stderr_console
    from streamproc.errors import OperatorError, WorkerFault
    from streamproc.logs import configure_logging
    from streamproc.offline.bulk.job import open_bulk_job
    from streamproc.offline.bulk.output_options import OutputOptions
    from streamproc.repository.repository import digest_of_manifests
    from streamproc.serving.tasks.catalogue import task_named
    from streamproc.worker.local_client import OUTSTANDING_BYTES, LocalClient

    configure_logging(settings)
    console = stderr_console()
    job = open_bulk_job(
        files,
        output,
        task_named(task),
        console.print,
        reading=reading_options(task_named(task), form, encoding, text_column, id_column, mapped),
        writing=OutputOptions(fresh, retry_errors, keep_columns),
        asked=(task, ensemble, digest_of_manifests(settings.models_dir), settings.profile),
    )
    client = LocalClient.of_task(settings, task, ensemble=ensemble)
    try:
        answer_file(job, client, outstanding, console, outstanding_bytes=OUTSTANDING_BYTES)
    except WorkerFault as fault:
        raise OperatorError(f"the models can't run: {fault}") from None
