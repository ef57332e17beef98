"""`streamproc submit`: send a file of requests through Kafka and wait for the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from streamproc.cli.answering import Response, ask_each, write_answers
from streamproc.cli.options import KAFKA, with_settings
from streamproc.cli.rows import Format, Row, read_rows
from streamproc.clock import SystemClock
from streamproc.errors import TooLarge
from streamproc.kafka.client import RequestClient
from streamproc.kafka.topics import load_topics
from streamproc.logs import configure_logging
from streamproc.messages.lane import Lane
from streamproc.settings import Settings
from streamproc.tasks.catalogue import task_named


class LaneName(StrEnum):
    """The lanes, as they are written."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


@with_settings([*KAFKA, "topics_dir", "max_message_bytes", "log_level", "log_format"])
def submit(
    settings: Settings,
    file: Annotated[Path, typer.Argument(help="JSON Lines, CSV or a text a line; - for stdin")],
    task: Annotated[str, typer.Option(help="the task")] = "text-classification",
    ensemble: Annotated[str | None, typer.Option(help="default: the topic's")] = None,
    lane: Annotated[LaneName, typer.Option(help="which topic to send to")] = LaneName.INTERACTIVE,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="default: stdout")] = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="default: by the file's name")
    ] = None,
    outstanding: Annotated[int, typer.Option(min=1, help="requests not yet answered")] = 256,
    timeout_s: Annotated[float, typer.Option(min=1, help="longest wait without an answer")] = 60,
) -> None:
    """Send every row of a file as a request; answers come as JSON Lines in input order."""
    configure_logging(settings)
    catalogue = load_topics(settings.topics_dir)
    topic = catalogue.request_topic(task, Lane[lane.name])
    client = RequestClient(
        settings,
        SystemClock(),
        requests_topic=topic.name,
        responses_topic=topic.responses,
        answer_timeout_s=timeout_s,
        limits=catalogue.limits(settings),
    )
    rows = read_rows(file, form, task_named(task))
    asyncio.run(_submit(client, rows, ensemble, outstanding, output))


async def _submit(
    client: RequestClient,
    rows: Iterator[Row],
    ensemble: str | None,
    outstanding: int,
    output: Path | None,
) -> None:
    async def ask(row: Row, _: int) -> Response:
        chosen = {"ensemble": ensemble} if ensemble else {}
        try:
            return await client.ask({**(row.request or {}), **chosen})
        except TooLarge as reason:
            fault = {"type": "invalid", "title": reason.title, "detail": reason.detail}
            return {"status": "error", "error": fault}

    async with client:
        await write_answers(ask_each(rows, ask, outstanding), output)
