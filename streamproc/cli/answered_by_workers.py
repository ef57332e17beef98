"""A file answered by workers, through Kafka."""

from __future__ import annotations

import orjson

from streamproc.cli.answered_file import AnsweredFile, AnswerLine
from streamproc.cli.answering import Response, refused
from streamproc.cli.interruption import interruptible
from streamproc.cli.rows import RequestRow
from streamproc.errors import TooLarge
from streamproc.kafka.client import RequestClient
from streamproc.messages.json_spans import on_one_line, with_members
from streamproc.messages.strict_json import parse


async def answer_by_workers(
    client: RequestClient, answered: AnsweredFile, ensemble: str | None, outstanding: int
) -> None:
    """Ask every row through Kafka; raises OperatorError, Interrupted."""

    async def ask(row: RequestRow) -> AnswerLine:
        if row.value is None:
            return _own(row, refused(row))
        value = row.value
        if ensemble is not None and parse(value).get("ensemble") is None:
            value = with_members(value, {"ensemble": orjson.dumps(ensemble)})
        try:
            response, written = await client.ask_json(value)
        except TooLarge as reason:
            fault = {"type": "invalid", "title": reason.title, "detail": reason.detail}
            return _own(row, {"status": "error", "error": fault})
        return AnswerLine(row, response, on_one_line(with_members(written, {"id": row.id_json})))

    with interruptible():
        async with client:
            await answered.answer(ask, outstanding)


def _own(row: RequestRow, response: Response) -> AnswerLine:
    """An answer that is no worker's."""
    written = orjson.dumps({**response, "id": orjson.Fragment(row.id_json)})
    return AnswerLine(row, response, written)
