"""Writing answers in the order of their rows, while a bar shows how far they are."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import ExitStack, aclosing
from pathlib import Path
from typing import Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from streamproc.cli.rows import Row
from streamproc.clock import Clock
from streamproc.errors import SettingsError
from streamproc.messages.json_spans import on_one_line
from streamproc.messages.outgoing import as_json
from streamproc.messages.record import Record
from streamproc.messages.request import read_request
from streamproc.pipeline import Pipeline
from streamproc.settings import Settings

Response = dict[str, Any]
Responses = AsyncGenerator[Response, None]
Ask = Callable[[Row, int], Awaitable[Response]]
"""The response to a row, given the row and its place from 0."""


def asking(pipeline: Pipeline, settings: Settings, clock: Clock, source: str) -> Ask:
    """Asks a pipeline in this process; source: where the rows come from, as it is told."""

    async def ask(row: Row, place: int) -> Response:
        value = orjson.dumps(row.request)
        record = Record(source, 0, place, clock.now_ms(), None, value)
        request = read_request(record, settings.max_message_bytes)
        response = await pipeline.answer(record, request)
        if response is None:
            raise AssertionError("a row that is a JSON object always has an id")
        return as_json(response)

    return ask


async def ask_each(rows: Iterable[Row], ask: Ask, outstanding: int) -> Responses:
    """Responses in the order of rows, at most `outstanding` asked for and not yet given out."""
    under_way: deque[asyncio.Task[Response]] = deque()
    try:
        for place, row in enumerate(rows):
            if len(under_way) >= outstanding:
                yield await under_way.popleft()
            under_way.append(asyncio.create_task(_answer(row, place, ask)))
        while under_way:
            yield await under_way.popleft()
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def write_answers(responses: Responses, output: Path | None) -> None:
    """Write every response as a line of JSON; exit with 1 and a count when some are errors."""
    total, failed, partial = 0, 0, 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with ExitStack() as stack:
        try:
            sink = stack.enter_context(output.open("wb")) if output else sys.stdout.buffer
        except OSError as error:
            raise SettingsError(f"can't write {output}: {error.strerror}") from None
        progress = stack.enter_context(
            Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
        )
        bar = progress.add_task("answered", total=None)
        async with aclosing(responses):
            async for response in responses:
                sink.write(on_one_line(orjson.dumps(response)) + b"\n")
                total += 1
                failed += response["status"] == "error"
                partial += response["status"] == "partial"
                progress.update(bar, completed=total)
        sink.flush()
    console.print(f"{total} answered, {partial} of them partial, {failed} errors")
    if failed:
        raise typer.Exit(1)


def unreadable(row: Row) -> Response:
    """The answer to a row that is no request."""
    fault = {"type": "unreadable", "title": "not a JSON object", "detail": row.fault}
    return {"id": row.id, "status": "error", "error": fault}


async def _answer(row: Row, place: int, ask: Ask) -> Response:
    return unreadable(row) if row.request is None else {**await ask(row, place), "id": row.id}
