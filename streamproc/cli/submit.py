"""`streamproc submit`: send files of requests through Kafka and wait for the answers."""

from __future__ import annotations

from enum import StrEnum
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
from streamproc.cli.options import KAFKA, with_settings
from streamproc.settings import Settings


class LaneName(StrEnum):
    """The lanes, as they are written."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


@with_settings([*KAFKA, "topics_dir", "max_message_bytes", "log_level", "log_format"])
def submit(
    settings: Settings,
    files: Files,
    task: TaskName = "text-classification",
    ensemble: Annotated[
        str | None, typer.Option(help="ensemble for rows that name none; default: the topic's")
    ] = None,
    lane: Annotated[
        LaneName, typer.Option(help="lane, and with it the topic, to send to")
    ] = LaneName.INTERACTIVE,
    output: Output = None,
    form: Form = None,
    encoding: Encoding = None,
    text_column: TextColumn = None,
    id_column: IdColumn = None,
    mapped: Mapped = None,
    keep_columns: KeepColumns = False,
    fresh: Fresh = False,
    retry_errors: RetryErrors = False,
    outstanding: Annotated[int, typer.Option(min=1, help="requests in flight at a time")] = 256,
    timeout_s: Annotated[
        float, typer.Option(min=1, help="seconds without any answer after which to stop")
    ] = 60,
) -> None:
    """Answer every row and document through Kafka; results are in the order of the input.

    Rows are sent as requests, and workers answer them. With --output, answers are kept in
    OUTPUT.part as they arrive; after Ctrl-C the same command resumes from there.
    """
    from streamproc.cli.answered_file import answer_file
    from streamproc.cli.reading_options import reading_options
    from streamproc.cli.terminal import stderr_console
    from streamproc.kafka.client import RequestClient
    from streamproc.logs import configure_logging
    from streamproc.messages.lane import Lane
    from streamproc.offline.bulk.job import open_bulk_job
    from streamproc.offline.bulk.output_options import OutputOptions
    from streamproc.serving.tasks.catalogue import task_named

    configure_logging(settings)
    console = stderr_console()
    client = RequestClient.of_task(settings, task, Lane[lane.name], answer_timeout_s=timeout_s)
    job = open_bulk_job(
        files,
        output,
        task_named(task),
        console.print,
        reading=reading_options(task_named(task), form, encoding, text_column, id_column, mapped),
        writing=OutputOptions(fresh, retry_errors, keep_columns),
        asked=(task, ensemble, client.requests_topic),
    )
    answer_file(job, client, outstanding, console, ensemble=ensemble)
