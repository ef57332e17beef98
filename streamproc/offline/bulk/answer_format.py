"""How answers are written into a file: JSON Lines, or what a subclass has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import IO, Protocol

from streamproc.offline.bulk.origin import Origin, with_origin
from streamproc.offline.bulk.request_rows import RequestRow


class WriteAnswer(Protocol):
    """Takes answers in the order of rows, each a JSON object on one line."""

    def __call__(self, answer: bytes, origin: Origin | None) -> None: ...


class AnswerFormat(ABC):
    """A format of files of answers.

    source:  whether each answer says which file and row it is to
    columns: whether it has the row's own columns
    """

    source: bool
    columns: bool

    def note(self, row: RequestRow) -> None:  # noqa: B027 - most formats need not know
        """Told of each row before any answer is written."""

    @abstractmethod
    def writing(self, file: IO[bytes]) -> AbstractContextManager[WriteAnswer]:
        """Write answers into a file, which is complete after this; raises OSError."""


@dataclass(frozen=True, slots=True)
class JsonLines(AnswerFormat):
    """A line for each answer."""

    source: bool = False
    columns: bool = False

    @contextmanager
    def writing(self, file: IO[bytes]) -> Iterator[WriteAnswer]:
        """A line for each answer, at once."""

        def write(answer: bytes, origin: Origin | None) -> None:
            file.write(self.line(answer, origin))

        yield write

    def line(self, answer: bytes, origin: Origin | None) -> bytes:
        """An answer's line."""
        return with_origin(answer, origin, source=self.source) + b"\n"
