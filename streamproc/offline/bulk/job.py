"""A file of rows, the client that is asked, and the output that the answers go to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol

import orjson

from streamproc.errors import Invalid
from streamproc.messages.client import ResponseBody
from streamproc.messages.json_spans import on_one_line, with_members
from streamproc.messages.problems import to_problem
from streamproc.messages.response import Problem
from streamproc.messages.strict_json import parse
from streamproc.offline.bulk.answer_counts import AnswerCounts
from streamproc.offline.bulk.ask_each import ask_each
from streamproc.offline.bulk.output import AnswerOutput, AnswerStream, is_file, refuse_same_file
from streamproc.offline.bulk.progress import BulkProgress
from streamproc.offline.bulk.request_rows import RequestRow, request_rows, required_fields
from streamproc.offline.bulk.resumable_file import ResumableFile
from streamproc.offline.documents.file import DataFile, open_data_file
from streamproc.offline.documents.formats import Format
from streamproc.serving.tasks.task import Task


class JsonClient(Protocol):
    """A client that is asked in JSON, and hands back a response with its JSON."""

    async def ask_json(self, body: bytes) -> tuple[ResponseBody, bytes]:
        """Raises Invalid when the request can't even be sent."""
        ...


@dataclass(frozen=True, slots=True)
class AnsweredRow:
    """response: as an object, to be counted; written: in JSON, on one line, for the output"""

    row: RequestRow
    response: Mapping[str, Any]
    written: bytes


class BulkJob:
    """Rows to be asked, the first of which is read, and an output, which is not touched yet.

    began: the output may hold something of this run
    """

    def __init__(
        self,
        file: DataFile,
        rows: Iterator[RequestRow],
        output: AnswerOutput,
        counts: AnswerCounts,
    ) -> None:
        self._file, self._rows = file, rows
        self.output, self.counts = output, counts
        self.began = False
        self._read, self._ended = 0, False

    def progress(self) -> BulkProgress:
        """How far it is."""
        share = 1.0 if self._ended else self._file.share_read
        return BulkProgress(self.counts.answered, self._read, share, self.counts.kept)

    async def run(
        self,
        client: JsonClient,
        outstanding: int,
        *,
        outstanding_bytes: int | None = None,
        ensemble: str | None = None,
    ) -> None:
        """Ask every row that is not answered yet, and write its answer.

        outstanding, outstanding_bytes: as `ask_each` has them
        ensemble: of rows that name none; None: as the client has it
        Raises OperatorError when it can't go on; `output.kept` says what is kept.
        """

        async def ask(row: RequestRow) -> AnsweredRow:
            return await _answered(client, row, ensemble)

        with self.output as output:
            self.began = True
            answers = ask_each(
                output.left(self._counted()),
                ask,
                outstanding,
                in_order=output.in_order,
                outstanding_bytes=outstanding_bytes,
                size_bytes=lambda row: len(row.value or b""),
            )
            async with aclosing(answers):
                async for answer in answers:
                    output.write(answer.row, answer.written)
                    self.counts.add(answer.response)
            output.finish()

    def _counted(self) -> Iterator[RequestRow]:
        for row in self._rows:
            self._read = row.number
            yield row
        self._ended = True


@contextmanager
def open_bulk_job(
    path: Path,
    output: Path | None,
    task: Task,
    tell: Callable[[str], None],
    *,
    form: Format | None = None,
    encoding: str | None = None,
    fresh: bool = False,
    asked: object = None,
) -> Iterator[BulkJob]:
    """The job of answering a file; nothing is touched before it is run.

    output: None is standard output
    tell:   is told in a line what may be a mistake in the file
    fresh:  answers that a run before has kept are asked again
    asked:  what beside a row decides its answer, for JSON; kept answers are taken up where it is
        the same
    Raises SettingsError, DataFileError.
    """
    counts = AnswerCounts()
    if output is None or not is_file(output):
        into: AnswerOutput = AnswerStream(output)
    else:
        refuse_same_file(path, output)
        into = ResumableFile(output, orjson.dumps(asked), counts, fresh=fresh)
        refuse_same_file(path, into.path)
    with open_data_file(path, form, encoding=encoding, fields=required_fields(task)) as file:
        rows = request_rows(file, task, tell)
        yield BulkJob(file, chain(list(islice(rows, 1)), rows), into, counts)


async def _answered(client: JsonClient, row: RequestRow, ensemble: str | None) -> AnsweredRow:
    if row.value is None:
        title = "not a row" if row.fault_type == "unreadable" else "invalid request"
        return _refused(row, Problem(row.fault_type, title, row.fault))
    value = row.value
    if ensemble is not None and parse(value).get("ensemble") is None:
        value = with_members(value, {"ensemble": orjson.dumps(ensemble)})
    try:
        response, written = await client.ask_json(value)
    except Invalid as reason:
        return _refused(row, to_problem(reason))
    return AnsweredRow(row, response, on_one_line(with_members(written, {"id": row.id_json})))


def _refused(row: RequestRow, why: Problem) -> AnsweredRow:
    """The answer to a row that nobody was asked."""
    response = {"id": orjson.Fragment(row.id_json), "status": "error", "error": asdict(why)}
    return AnsweredRow(row, response, orjson.dumps(response))
