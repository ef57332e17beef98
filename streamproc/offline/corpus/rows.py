"""Rows of a corpus file, one at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from streamproc.errors import DataFileError, SettingsError, TrainingError
from streamproc.offline.documents.file import open_data_file


@dataclass(frozen=True, slots=True)
class CorpusRow:
    """One row, and where it stands, for what is said when it can't be used.

    line:    from 1; of a Parquet file, which has no lines, the row's number
    written: the line itself, where it is one of JSON
    """

    path: Path
    line: int
    values: Mapping[str, object]
    written: str = ""

    @property
    def characters(self) -> int:
        """About how long it is with all its fields, asked for or not."""
        return len(self.written) or sum(len(str(value)) for value in self.values.values())

    def fail(self, why: str) -> NoReturn:
        """Raise TrainingError with file and line."""
        raise TrainingError(f"{self.path}, line {self.line}: {why}")

    def json(self) -> str:
        """The row as a line of JSON: its own, unchanged; raises TrainingError."""
        if self.written:
            return self.written
        try:
            return json.dumps(self.values, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            self.fail(f"JSON has no form for a value of it: {error}.")

    def get(self, name: str) -> object:
        """A field's value; raises TrainingError when it is not there."""
        value = self.values.get(name)
        if value is None:
            self.fail(f"no field {name!r}; it has {', '.join(map(repr, self.values))}.")
        return value

    def text(self, name: str) -> str:
        """A field that is a text; raises TrainingError."""
        value = self.get(name)
        if not isinstance(value, str):
            self.fail(f"{name!r} is not a text.")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A field that is a list of texts; raises TrainingError."""
        value = self.get(name)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            self.fail(f"{name!r} is not a list of texts.")
        return tuple(value)

    def others(self, *but: str) -> dict[str, str]:
        """Every other field that is a text or a number, as text: what to partition by."""
        return {
            name: str(value)
            for name, value in self.values.items()
            if name not in but and isinstance(value, str | int | float)
        }


@dataclass(frozen=True, slots=True)
class Source:
    """A corpus file under a name, which its records carry as the field `corpus`."""

    name: str
    path: Path


def source_from(written: str) -> Source:
    """The source that a user wrote: `NAME=PATH`, or `PATH`, named for the folder it lies in."""
    name, equals, path = written.partition("=")
    if equals and "/" not in name:
        return Source(name, Path(path))
    return Source(Path(written).absolute().parent.name, Path(written))


def described(sources: Sequence[Source]) -> str:
    """The files for a manifest's provenance: folder and name, not where they lay."""
    return ", ".join(f"{source.path.parent.name}/{source.path.name}" for source in sources)


def read_rows(path: Path) -> Iterator[CorpusRow]:
    """The rows of a corpus file, in the file's order, read as they are asked for.

    path: JSON Lines, JSON, CSV or TSV with a line of names, in UTF-8, or Parquet, as its name says
        or as it begins, each also as `.gz` or `.zst`
    Raises TrainingError with file and line when a row can't be read.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise TrainingError(f"{path}: a corpus is read more than once, which a pipe can't be.")
    try:
        with open_data_file(path) as file:
            if file.holds_text:
                raise TrainingError(
                    f"{path}: a corpus has fields: JSON Lines, JSON, CSV or TSV, or Parquet, "
                    "each also as .gz or .zst; rename or convert this one."
                )
            for row in file.rows():
                if row.fault:
                    raise TrainingError(f"{path}, {row.fault}.")
                # Rows are handed on as lines: one that is written over several is made anew.
                written = b"" if b"\n" in row.written or b"\r" in row.written else row.written
                yield CorpusRow(path, row.line, row.values, written.decode())
    except (DataFileError, SettingsError) as error:
        raise TrainingError(str(error)) from None
