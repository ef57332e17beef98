"""Labelled texts read from JSON Lines or CSV, plain or gzipped, one record at a time."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from streamproc.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Record:
    """One labelled text of a corpus.

    label:  as the corpus spells it ("1", "positive")
    fields: the record's other fields, as text; what a corpus may be partitioned by
    """

    text: str
    label: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Columns:
    """The names under which a corpus keeps its texts and labels."""

    text: str = "text"
    label: str = "label"


def read_records(path: Path, columns: Columns | None = None) -> Iterator[Record]:
    """The records of a corpus file, in the file's order, read as they are asked for.

    path: `.jsonl` or `.csv` (with a header line), either one also as `.gz`; UTF-8
    Raises TrainingError with file and line when a record can't be read.
    """
    columns = columns or Columns()
    kind = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    if kind not in {"jsonl", "csv"}:
        raise TrainingError(
            f"{path}: a corpus is a .jsonl or .csv file, plain or .gz; rename or convert this one."
        )
    try:
        with _opened(path) as lines:
            rows = _json_rows(path, lines) if kind == "jsonl" else _csv_rows(path, lines)
            for line, row in rows:
                yield _record(path, line, row, columns)
    except FileNotFoundError:
        raise TrainingError(f"{path}: there is no such corpus file.") from None
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
        raise TrainingError(f"{path}: not readable as UTF-8 text: {error}.") from error


def _opened(path: Path) -> IO[str]:
    # newline="" leaves line ends inside quoted CSV fields as they are.
    if path.name.endswith(".gz"):
        return io.TextIOWrapper(gzip.open(path), encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _json_rows(path: Path, lines: IO[str]) -> Iterator[tuple[int, Mapping[str, object]]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise TrainingError(f"{path}, line {number}: not JSON: {error}.") from error
        if not isinstance(row, dict):
            raise TrainingError(f"{path}, line {number}: expected a JSON object.")
        yield number, row


def _csv_rows(path: Path, lines: IO[str]) -> Iterator[tuple[int, Mapping[str, object]]]:
    reader = csv.DictReader(lines)
    for row in reader:
        if None in row or None in row.values():
            raise TrainingError(
                f"{path}, line {reader.line_num}: {len(reader.fieldnames or ())} columns expected."
            )
        yield reader.line_num, row


def _record(path: Path, line: int, row: Mapping[str, object], columns: Columns) -> Record:
    for name in (columns.text, columns.label):
        if row.get(name) is None:
            raise TrainingError(
                f"{path}, line {line}: no field {name!r}; it has {', '.join(map(repr, row))}."
            )
    text, label = row[columns.text], row[columns.label]
    if not isinstance(text, str):
        raise TrainingError(f"{path}, line {line}: {columns.text!r} is not a text.")
    fields = {
        name: str(value)
        for name, value in row.items()
        if name not in {columns.text, columns.label} and isinstance(value, str | int | float)
    }
    return Record(text, str(label), fields)
