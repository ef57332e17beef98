"""Files of rows, the client that is asked, and the output that the answers go to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing, contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import orjson

from streamproc.errors import Invalid
from streamproc.messages.client import ResponseBody
from streamproc.messages.json_spans import on_one_line, with_members
from streamproc.messages.problems import to_problem
from streamproc.messages.response import Problem
from streamproc.messages.strict_json import parse
from streamproc.offline.bulk.answer_counts import AnswerCounts
from streamproc.offline.bulk.ask_each import ask_each
from streamproc.offline.bulk.input_rows import InputRows, ReadingOptions
from streamproc.offline.bulk.output import AnswerOutput, refuse_same_file
from streamproc.offline.bulk.output_options import OutputOptions, answer_output, written_files
from streamproc.offline.bulk.progress import BulkProgress
from streamproc.offline.bulk.request_rows import RequestRow
from streamproc.offline.documents.inputs import Inputs
from streamproc.serving.tasks.task import Task


class JsonClient(Protocol):
    """A client that is asked in JSON, and hands back a response with its JSON."""

    async def ask_json(self, body: bytes) -> tuple[ResponseBody, bytes]:
        """Raises Invalid when the request can't even be sent."""
        ...


@runtime_checkable
class CountsTokens(Protocol):
    """A client whose models run in this process."""

    def tokens_run(self) -> int:
        """Tokens that models have read and written so far."""
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
        rows: InputRows,
        output: AnswerOutput,
        counts: AnswerCounts,
    ) -> None:
        self._input = rows
        # The first is read at once: what is wrong with all is known before anything is done.
        reading = iter(rows)
        self._rows = chain(list(islice(reading, 1)), reading)
        self.output, self.counts = output, counts
        self.began = False
        self._read, self._ended = 0, False
        self._written: int | None = None
        self._tokens: Callable[[], int] | None = None

    def progress(self) -> BulkProgress:
        """How far it is."""
        before = self.counts.kept  # another thread counts it: once, or a rate might be below 0
        return BulkProgress(
            self.counts.new + before,
            self._read,
            1.0 if self._ended else self._input.share_read,
            before=before,
            tokens=self._tokens() if self._tokens else None,
            characters=self.counts.characters,
            errors=self.counts.by_type(),
            written=self._written,
            taken_up=self.output.taken_up,
        )

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

        if isinstance(client, CountsTokens):
            self._tokens = client.tokens_run
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
            with closing(output.finish()) as written:
                for self._written in written:
                    await asyncio.sleep(0)  # a signal may stop it, and progress be shown

    def _counted(self) -> Iterator[RequestRow]:
        for row in self._rows:
            self._read = row.number
            yield row
        self._ended = True


@contextmanager
def open_bulk_job(
    paths: Sequence[Path],
    output: Path | None,
    task: Task,
    tell: Callable[[str], None],
    *,
    reading: ReadingOptions | None = None,
    writing: OutputOptions | None = None,
    asked: object = None,
) -> Iterator[BulkJob]:
    """The job of answering files; nothing is touched before it is run.

    paths:  files, folders and patterns, as `Inputs` has them
    output: None is standard output; where it lies in a folder that is read, it is left out
    tell:   is told in a line what may be a mistake in a file
    asked:  what beside a row decides its answer, as `answer_output` has it
    Raises SettingsError, DataFileError.
    """
    written = written_files(output)
    for path in paths:
        for file in written:
            refuse_same_file(path, file)
    inputs, counts = Inputs(paths, tell, leave_out=written), AnswerCounts()
    # Of a single file the row's number, or its own id, says enough.
    options = replace(writing or OutputOptions(), source=not inputs.alone)
    into = answer_output(output, task.name, options, counts, asked)
    reading = replace(reading or ReadingOptions(), keep_columns=options.keep_columns)
    yield BulkJob(InputRows(inputs, task, tell, reading), into, counts)


async def _answered(client: JsonClient, row: RequestRow, ensemble: str | None) -> AnsweredRow:
    if row.value is None:
        title = "invalid request"
        if row.fault_type == "unreadable":
            title = "unreadable file" if row.source.row is None else "not a row"
        return _refused(row, Problem(row.fault_type, title, row.fault))
    value = row.value
    if ensemble is not None and parse(value).get("ensemble") is None:
        value = with_members(value, {"ensemble": orjson.dumps(ensemble)})
    try:
        response, written = await client.ask_json(value)
    except Invalid as reason:
        return _refused(row, to_problem(reason))
    members = {"id": row.id_json}
    if row.warnings:
        members["warnings"] = orjson.dumps([*(response.get("warnings") or ()), *row.warnings])
    return AnsweredRow(row, response, on_one_line(with_members(written, members)))


def _refused(row: RequestRow, why: Problem) -> AnsweredRow:
    """The answer to a row that nobody was asked."""
    response = {"id": orjson.Fragment(row.id_json), "status": "error", "error": asdict(why)}
    return AnsweredRow(row, response, orjson.dumps(response))
