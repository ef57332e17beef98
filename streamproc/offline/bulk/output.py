"""Where answers go: straight out in order, or into a file that appears when it is complete."""

from __future__ import annotations

import os
import stat
import sys
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, NoReturn, Self

from streamproc.errors import OperatorError, SettingsError
from streamproc.offline.bulk.answer_format import JsonLines
from streamproc.offline.bulk.origin import origin_of
from streamproc.offline.bulk.request_rows import RequestRow
from streamproc.offline.documents.walking import file_identity


class AnswerOutput(ABC):
    """Takes answers; a context manager, which touches nothing before it is entered.

    in_order: answers must come in the order of rows
    taken_up: answers of a run before that were looked at so far
    on_terminal: answers are shown to whoever started it
    """

    in_order: bool
    taken_up = 0
    on_terminal = False

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def left(self, rows: Iterable[RequestRow]) -> Iterator[RequestRow]:
        """The rows that are not answered yet."""
        return iter(rows)

    @abstractmethod
    def write(self, row: RequestRow, answer: bytes) -> None:
        """Take the answer to a row, a JSON object in one line; raises OperatorError."""

    @abstractmethod
    def finish(self) -> Generator[int]:
        """Complete the output once all rows are answered; raises OperatorError.

        yields: how many answers are in it now, so that whoever asks for the next may stop
        """

    @abstractmethod
    def kept(self, answered: int) -> str:
        """Where the answers are when not all rows were answered, and how to go on."""

    def written(self) -> Iterator[str]:
        """What there is once it is complete, in a few lines."""
        return iter(())


class AnswerStream(AnswerOutput):
    """Standard output, or what else is no file: a pipe, a device."""

    in_order = True

    def __init__(self, path: Path | None, form: JsonLines) -> None:
        self._path, self._form = path, form
        self._sink: IO[bytes] = sys.stdout.buffer
        self.on_terminal = path is None and self._sink.isatty()

    def __enter__(self) -> Self:
        if self._path is not None:
            try:
                self._sink = self._path.open("wb")
            except OSError as error:
                self._fail(error)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._path is not None:
            with suppress(OSError):
                self._sink.close()

    def write(self, row: RequestRow, answer: bytes) -> None:
        try:
            self._sink.write(self._form.line(answer, origin_of(row, columns=self._form.columns)))
            # Whoever reads a pipe gets each answer when it is there.
            self._sink.flush()
        except OSError as error:
            self._fail(error)

    def finish(self) -> Generator[int]:
        yield from ()

    def kept(self, answered: int) -> str:
        return f"answers written before that: {answered:,}"

    def _fail(self, error: OSError) -> NoReturn:
        if self._path is None:
            # Or the interpreter would try again at its end, and say so.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        name = self._path or "standard output"
        raise OperatorError(f"can't write to {name}: {error.strerror}") from None


def is_file(output: Path) -> bool:
    """Whether an output is a file, or will be one: not a pipe, not a device.

    Raises SettingsError when it can't be one.
    """
    try:
        mode = output.stat().st_mode
    except FileNotFoundError:
        parent = output.resolve().parent
        if not parent.is_dir():
            raise SettingsError(f"can't write {output}: there is no folder {parent}") from None
        return True
    except OSError as error:
        raise SettingsError(f"can't write {output}: {error.strerror}") from None
    if stat.S_ISDIR(mode):
        raise SettingsError(f"can't write {output}: it is a folder; name a file")
    return stat.S_ISREG(mode)


def refuse_same_file(source: Path, output: Path) -> None:
    """Raise SettingsError where answers would take the place of what is asked."""
    read = file_identity(source)
    if read is not None and read == file_identity(output):
        raise SettingsError(f"{output} is what is read: name another file for the answers")
