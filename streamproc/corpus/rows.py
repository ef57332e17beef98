"""Rows of a corpus file, JSON Lines, CSV (plain or gzipped) or Parquet, one at a time."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from streamproc.corpus.parquet import read_parquet
from streamproc.errors import TrainingError

# A text as long as a request may carry; the csv module's own limit is 128 KiB.
_MAX_FIELD_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Row:
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


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a corpus file, in the file's order, read as they are asked for.

    path: `.jsonl` or `.csv` (with a header line), either one also as `.gz`, UTF-8; or `.parquet`
    Raises TrainingError with file and line when a row can't be read.
    """
    kind = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    if path.suffix.lower() == ".parquet":
        for number, values in enumerate(read_parquet(path), start=1):
            yield Row(path, number, values)
        return
    if kind not in {"jsonl", "csv"}:
        raise TrainingError(
            f"{path}: a corpus is a .jsonl or .csv file, plain or .gz, or a .parquet file; rename "
            "or convert this one."
        )
    try:
        with _opened(path) as lines:
            yield from _json_rows(path, lines) if kind == "jsonl" else _csv_rows(path, lines)
    except FileNotFoundError:
        raise TrainingError(f"{path}: there is no such corpus file.") from None
    except csv.Error as error:
        raise TrainingError(f"{path}: not readable as CSV: {error}.") from error
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
        raise TrainingError(f"{path}: not readable as UTF-8 text: {error}.") from error


def _opened(path: Path) -> IO[str]:
    # newline="" leaves line ends inside quoted CSV fields as they are.
    if path.name.endswith(".gz"):
        return io.TextIOWrapper(gzip.open(path), encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _json_rows(path: Path, lines: IO[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except ValueError as error:
            raise TrainingError(f"{path}, line {number}: not JSON: {error}.") from error
        if not isinstance(values, dict):
            raise TrainingError(f"{path}, line {number}: expected a JSON object.")
        yield Row(path, number, values, line.strip())


def _csv_rows(path: Path, lines: IO[str]) -> Iterator[Row]:
    csv.field_size_limit(_MAX_FIELD_BYTES)
    reader = csv.DictReader(lines)
    for values in reader:
        if None in values or None in values.values():
            raise TrainingError(
                f"{path}, line {reader.line_num}: {len(reader.fieldnames or ())} columns expected."
            )
        yield Row(path, reader.line_num, values)
