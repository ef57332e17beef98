"""Answers on their way into a file: kept beside it as they come, put in order at the end."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from streamproc.errors import OperatorError
from streamproc.messages.json_spans import with_members
from streamproc.messages.strict_json import parse
from streamproc.offline.bulk.answer_counts import AnswerCounts
from streamproc.offline.bulk.answer_format import AnswerFormat
from streamproc.offline.bulk.ledger import Ledger
from streamproc.offline.bulk.origin import origin_of
from streamproc.offline.bulk.output import AnswerOutput
from streamproc.offline.bulk.request_rows import RequestRow
from streamproc.offline.bulk.run_index import IndexedAnswer, RunIndex

# Answers written between two looks at whether to stop.
_AT_A_TIME = 256


class ResumableFile(AnswerOutput):
    """A file of answers that takes its place when it is complete; until then OUTPUT.part.

    What a run before left there is not asked again, where what is asked is the same. Memory does
    not grow with the rows.
    """

    in_order = False

    def __init__(
        self,
        output: Path,
        asked: bytes,
        counts: AnswerCounts,
        form: AnswerFormat,
        *,
        fresh: bool = False,
        retry_errors: bool = False,
    ) -> None:
        """asked: what beside a row decides its answer

        fresh: answers of a run before are not taken up; retry_errors: of those, errors are not
        """
        self._output = output
        self._target, self.path = _target(output), ledger_of(output)
        # No name of the process: who holds the ledger is the only one.
        self._made = self._target.with_name(f".{self._target.name}.tmp")
        self._key = hashlib.blake2b(asked).digest()
        self._counts, self._form = counts, form
        self._fresh, self._retry_errors = fresh, retry_errors
        self._ledger = Ledger(self.path)
        # Of the rows that are asked now: what their lines will have beside the answer.
        self._asked: dict[int, tuple[int, bytes, int | None]] = {}
        self._open = ExitStack()
        self._written = 0
        self._is_taken_up, self._complete = False, False

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            try:
                stack.enter_context(self._ledger)
                if self._target.exists():  # who may not read the one may not read the other
                    self.path.chmod(self._mode())
                if self._fresh:
                    self._ledger.clear()
                self._index = RunIndex(self._target.with_name(f".{self._target.name}.index"))
                stack.callback(self._index.close)
            except OSError as error:
                self._fail(error)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        empty = not self._ledger.size
        done = self._complete and not self._counts.errors
        if (error is not None and empty) or done:
            self.path.unlink(missing_ok=True)
        try:
            self._open.close()
        except OSError as failed:  # what a full disk did not take
            if error is None:
                self._fail(failed)

    def left(self, rows: Iterable[RequestRow]) -> Iterator[RequestRow]:
        resumed = self._take_up()
        for row in rows:
            if self._form.source or self._form.columns:
                origin = origin_of(row, columns=self._form.columns)
                self._form.note(row)
                self._index.originates(row.number, origin)
            asked = row.value if row.value is not None else row.fault.encode()
            digest = hashlib.blake2b(asked, digest_size=16, key=self._key)
            of = digest.hexdigest().encode()
            kept = self._index.claim(of, row.number) if resumed else None
            if kept is None:
                self._asked[row.number] = row.number, of, None
            elif kept.status == "error" and self._retry_errors:
                self._asked[row.number] = kept.row, of, kept.place
            else:
                self._count(kept.status, kept.place)
                self._index.answered(row.number, kept.place, row.id_json)
                continue
            yield row

    def write(self, row: RequestRow, answer: bytes) -> None:
        ledger_row, of, instead = self._asked.pop(row.number)
        try:
            place = self._ledger.append(ledger_row, of, answer, instead)
        except OSError as error:
            self._fail(error)
        self._index.answered(row.number, place)
        self._written += 1

    def finish(self) -> Generator[int]:
        """Write the answers in the order of rows beside the output, and let them take its place."""
        written = 0
        try:
            with self._made.open("wb") as file:
                with self._form.writing(file) as write:
                    for written, answer in enumerate(self._index.ordered(), 1):
                        write(self._answer(answer), answer.origin)
                        if written % _AT_A_TIME == 0:
                            yield written
                file.flush()
                os.fsync(file.fileno())
            if self._target.exists():
                self._made.chmod(self._mode())
            self._made.replace(self._target)
        except OSError as error:
            self._fail(error)
        finally:
            self._made.unlink(missing_ok=True)
        self._complete = True
        yield written

    def kept(self, answered: int) -> str:
        if not self._ledger.size:
            return f"no row was answered; {self._output} is as it was"
        # More than those of the rows that were read: of a run before there may be others.
        count = f"{self.taken_up + self._written:,} answers" if self._is_taken_up else "all answers"
        return (
            f"{count} are kept in {self.path}, and {self._output} is as it was: the "
            "same command resumes from there (--fresh starts over)"
        )

    def written(self) -> Iterator[str]:
        """What there is now that it is complete."""
        yield f"written to {self._output}"
        if self._counts.errors:
            yield (
                f"{self.path} keeps the answers: the same command with --retry-errors asks only "
                "what has errors again; delete it when you are done"
            )

    def _take_up(self) -> bool:
        """Note the answers of a run before; returns whether there are any."""
        try:
            for line in self._ledger.lines():
                self.taken_up += 1
                self._index.keep(line)
        except OSError as error:
            self._fail(error)
        self._is_taken_up = True
        return self._ledger.size > 0

    def _count(self, status: str, place: int) -> None:
        """Count an answer of a run before; of an error it takes the reason."""
        self._counts.keep(
            parse(self._ledger.answer_at(place)) if status == "error" else {"status": status}
        )

    def _answer(self, found: IndexedAnswer) -> bytes:
        answer = self._ledger.answer_at(found.place)
        if found.own_id is None or answer.startswith(b'{"id":' + found.own_id + b","):
            return answer
        return with_members(answer, {"id": found.own_id})

    def _mode(self) -> int:
        return self._target.stat().st_mode & 0o7777

    def _fail(self, error: OSError) -> NoReturn:
        raise OperatorError(f"can't write {self._output}: {error.strerror}") from None


def ledger_of(output: Path) -> Path:
    """Where the answers of an output are kept until all are there."""
    target = _target(output)
    return target.with_name(f"{target.name}.part")


def _target(output: Path) -> Path:
    """The file itself, where the output is a link to it."""
    return output.resolve() if output.is_symlink() else output
