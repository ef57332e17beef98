"""Answers on their way into a file: kept beside it as they come, put in order at the end.

OUTPUT.part has a line for each answer, in the order in which they came:

    {"row":17,"of":"9f86d081884c7d65","answer":{...}}

row: the row's number in the input, from 1; of: a digest of what was asked; answer: the line as it
will be in OUTPUT. Of several lines for one row the last counts.
"""

from __future__ import annotations

import hashlib
import os
import re
from array import array
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, NoReturn, Self

from streamproc.errors import OperatorError, SettingsError
from streamproc.messages.strict_json import parse
from streamproc.offline.bulk.answer_counts import AnswerCounts
from streamproc.offline.bulk.output import AnswerOutput
from streamproc.offline.bulk.request_rows import RequestRow

_LINE = re.compile(rb'\{"row":(\d+),"of":"([0-9a-f]{16})","answer":(\{.*\})\}\n', re.DOTALL)


class ResumableFile(AnswerOutput):
    """A file of answers that takes its place when it is complete; until then OUTPUT.part.

    What a run before left there is not asked again, where the row and what it asks are the same;
    errors are. Memory holds 16 bytes a row.
    """

    in_order = False

    def __init__(self, output: Path, asked: bytes, counts: AnswerCounts, *, fresh: bool) -> None:
        """asked: what is asked of every row; fresh: begin anew."""
        self._output = output
        # The file itself, where the output is a link to it.
        self._target = output.resolve() if output.is_symlink() else output
        self.path = self._target.with_name(f"{self._target.name}.part")
        self._key = hashlib.blake2b(asked).digest()
        self._counts, self._fresh = counts, fresh
        # By row: where its line begins, or -1; and the digest of what it asks.
        self._places, self._digests = array("q"), array("Q")
        self._partial = set[int]()
        self._rows, self._size = 0, 0
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            try:
                self._file: IO[bytes] = stack.enter_context(self.path.open("a+b"))
                _lock(self._file, self.path)
                if self._target.exists():  # who may not read the one may not read the other
                    self.path.chmod(self._mode())
                if self._fresh:
                    self._file.truncate(0)
                self._take_up()
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
        try:
            self._open.close()
        except OSError as failed:  # what a full disk did not take
            if error is None:
                self._fail(failed)
        if error is not None and not self._size:
            self.path.unlink(missing_ok=True)

    def left(self, rows: Iterable[RequestRow]) -> Iterator[RequestRow]:
        for row in rows:
            self._rows = row.number
            asked = row.value if row.value is not None else row.fault.encode()
            digest = hashlib.blake2b(asked, digest_size=8, key=self._key)
            self._make_room(row.number)
            place, number = row.number - 1, int(digest.hexdigest(), 16)
            if self._places[place] >= 0 and self._digests[place] == number:
                self._counts.keep(partial=place in self._partial)
                continue
            self._places[place], self._digests[place] = -1, number
            yield row

    def write(self, row: RequestRow, answer: bytes) -> None:
        place = row.number - 1
        line = b'{"row":%d,"of":"%016x","answer":%b}\n' % (
            *(row.number, self._digests[place]),
            answer,
        )
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            self._fail(error)
        self._places[place] = self._size
        self._size += len(line)

    def finish(self) -> None:
        """Write the answers in the order of rows beside the output, and let them take its place."""
        made = self._target.with_name(f".{self._target.name}.{os.getpid()}.tmp")
        try:
            with made.open("xb") as ordered:
                for place in self._places[: self._rows]:
                    ordered.write(self._answer_at(place) + b"\n")
                ordered.flush()
                os.fsync(ordered.fileno())
            if self._target.exists():
                made.chmod(self._mode())
            made.replace(self._target)
        except OSError as error:
            self._fail(error)
        finally:
            made.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)
        self._size = 0

    def kept(self, answered: int) -> str:
        if not self._size:
            return f"no row was answered; {self._output} is as it was"
        return (
            f"{answered:,} answers are kept in {self.path}, and {self._output} is as it was: the "
            "same command resumes from there (--fresh starts over)"
        )

    def _take_up(self) -> None:
        """Note the answers of a run before; a last line that was cut off is dropped."""
        self._file.seek(0)
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            found = _LINE.fullmatch(line)
            if found is None:
                raise SettingsError(
                    f"{self.path} is there, where answers are kept until all are there, and is "
                    "none of streamproc's: move it"
                )
            row, digest = int(found[1]), int(found[2], 16)
            self._make_room(row)
            status = parse(found[3])["status"]
            # An error is asked again: it may have been the models', or Kafka's.
            self._places[row - 1] = -1 if status == "error" else self._size
            self._digests[row - 1] = digest
            if status == "partial":
                self._partial.add(row - 1)
            self._size += len(line)
        self._file.truncate(self._size)

    def _answer_at(self, place: int) -> bytes:
        self._file.seek(place)
        found = _LINE.fullmatch(self._file.readline())
        if found is None:
            raise OperatorError(f"{self.path} was changed while it was written")
        return found[3]

    def _mode(self) -> int:
        return self._target.stat().st_mode & 0o7777

    def _make_room(self, row: int) -> None:
        lacking = row - len(self._places)
        if lacking > 0:
            self._places.extend([-1] * lacking)
            self._digests.extend([0] * lacking)

    def _fail(self, error: OSError) -> NoReturn:
        raise OperatorError(f"can't write {self._output}: {error.strerror}") from None


def _lock(file: IO[bytes], path: Path) -> None:
    try:
        import fcntl  # noqa: PLC0415 - Windows has none
    except ModuleNotFoundError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SettingsError(f"{path} is being written by another run; wait for it") from None
