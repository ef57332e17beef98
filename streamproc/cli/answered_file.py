"""A file of rows being answered: what `run` and `submit` share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import orjson
import typer

from streamproc.cli.answer_counts import AnswerCounts
from streamproc.cli.answer_output import AnswerOutput, AnswerStream, is_file, refuse_same_file
from streamproc.cli.answer_part import AnswerPart
from streamproc.cli.answer_progress import Standing, progress_shown
from streamproc.cli.answering import Response, ask_each
from streamproc.cli.interruption import Interrupted
from streamproc.cli.rows import RequestRow, request_rows, required_fields
from streamproc.cli.terminal import TerminalConsole, stderr_console
from streamproc.clock import Clock
from streamproc.offline.documents.file import DataFile, open_data_file
from streamproc.offline.documents.formats import Format
from streamproc.serving.tasks.task import Task


@dataclass(frozen=True, slots=True)
class AnswerLine:
    """response: as an object, for what is counted; written: the same in JSON, in one line."""

    row: RequestRow
    response: Response
    written: bytes


AskLine = Callable[[RequestRow], Awaitable[AnswerLine]]


@dataclass(slots=True)
class AnsweredFile:
    """An open file, its first row read, and the output, which is not touched yet."""

    file: DataFile
    rows: Iterator[RequestRow]
    output: AnswerOutput
    counts: AnswerCounts
    console: TerminalConsole
    clock: Clock
    began: bool = False
    _read: int = 0
    _ended: bool = False

    async def answer(
        self, ask: AskLine, outstanding: int, outstanding_bytes: int | None = None
    ) -> None:
        """Ask every row and write its answer, while it is shown how far that is.

        Raises OperatorError, having said what is kept.
        """
        try:
            with self.output as output:
                self.began = True
                answers = ask_each(
                    output.left(self._counted()),
                    ask,
                    outstanding,
                    in_order=output.in_order,
                    outstanding_bytes=outstanding_bytes,
                )
                async with (
                    progress_shown(self._standing, self.clock, self.console),
                    aclosing(answers),
                ):
                    async for answer in answers:
                        output.write(answer.row, answer.written)
                        self.counts.add(answer.response)
                output.finish()
        except BaseException:
            if self.began:
                self.console.print(self.output.kept(self.counts.answered))
            raise

    def _counted(self) -> Iterator[RequestRow]:
        for row in self.rows:
            self._read = row.number
            yield row
        self._ended = True

    def _standing(self) -> Standing:
        share = 1.0 if self._ended else self.file.share_read
        return Standing(self.counts.answered, self._read, share, self.counts.kept)


@contextmanager
def open_answered_file(
    path: Path,
    output: Path | None,
    task: Task,
    clock: Clock,
    *,
    form: Format | None,
    encoding: str | None,
    fresh: bool,
    asked: Sequence[str | None],
) -> Iterator[AnsweredFile]:
    """A file to be answered; at its end the counts are said.

    asked: what beside a row decides its answer; answers of a run before are kept where it is the
        same
    Raises SettingsError, DataFileError before anything is touched; typer.Exit with 1 where some
    rows have errors, with 130 or 143 after a signal.
    """
    console = stderr_console()
    counts = AnswerCounts()
    if output is None or not is_file(output):
        into: AnswerOutput = AnswerStream(output)
    else:
        refuse_same_file(path, output)
        into = AnswerPart(output, orjson.dumps(asked), counts, fresh=fresh)
        refuse_same_file(path, into.path)

    with open_data_file(path, form, encoding=encoding, fields=required_fields(task)) as file:
        rows = request_rows(file, task, console.print)
        answered = AnsweredFile(file, rows, into, counts, console, clock)
        try:
            answered.rows = chain(list(islice(rows, 1)), rows)
            yield answered
        except (Interrupted, KeyboardInterrupt) as stopped:
            if not answered.began:
                console.print("stopped before anything was asked")
            code = stopped.exit_code if isinstance(stopped, Interrupted) else 130
            raise typer.Exit(code) from None
    for line in counts.lines():
        console.print(line)
    if counts.errors:
        raise typer.Exit(1)
