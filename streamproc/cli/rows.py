"""Rows of a file to requests: JSON Lines, CSV with a column a field, or a text a line."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

import orjson

from streamproc.errors import SettingsError
from streamproc.tasks.task import Task

Format = Literal["jsonl", "csv", "text"]
# As large as STREAMPROC_MAX_MESSAGE_BYTES may be.
_MAX_FIELD_BYTES = 64 << 20
_BY_SUFFIX: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}


@dataclass(frozen=True, slots=True)
class Row:
    """One row; `id` is the row's own, or its number from 1.

    request: None where the row is no JSON object; `fault` then says why
    """

    id: str
    request: dict[str, Any] | None
    fault: str = ""


def read_rows(path: Path, form: Format | None, task: Task) -> Iterator[Row]:
    """The rows of a file, read as they are asked for; "-" is standard input.

    form: None tells it by the file's name, and takes lines of text where that says nothing
    task: whose fields the rows have, where the file's format does not name them
    Raises SettingsError when the file can't be read, or has no place for the task's fields.
    """
    form = form or _BY_SUFFIX.get(path.suffix.lower(), "text")
    try:
        source = (
            nullcontext(sys.stdin)
            if str(path) == "-"
            # newline="": a carriage return inside a CSV field is the user's text.
            else path.open(encoding="utf-8-sig", newline="" if form == "csv" else None)
        )
        with source as lines:
            yield from _READERS[form](lines, task)
    except OSError as error:
        raise SettingsError(f"can't read {path}: {error.strerror}") from None
    except csv.Error as error:
        raise SettingsError(f"{path} is not a CSV: {error}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from None


def _jsonl(lines: TextIO, _: Task) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield Row(str(number), None, f"line {number} is not JSON: {error}")
            continue
        if isinstance(value, dict):
            yield Row(str(value.get("id", number)), value)
        else:
            yield Row(str(number), None, f"line {number} is not a JSON object")


def _csv(lines: TextIO, task: Task) -> Iterator[Row]:
    # The module's own limit, of 128 KiB a field, would end the file at the first longer text.
    csv.field_size_limit(_MAX_FIELD_BYTES)
    reader = csv.DictReader(lines)
    columns = reader.fieldnames or []
    fields = task.inputs.model_fields
    lacking = [
        name for name, field in fields.items() if field.is_required() and name not in columns
    ]
    if lacking:
        raise SettingsError(
            f"the CSV needs {_columns(lacking)} for {task.name}; it has {list(columns)}"
        )
    for number, row in enumerate(reader, 1):
        values = {name: row[name] or "" for name in fields if name in columns}
        yield Row(row.get("id") or str(number), values)


def _columns(names: list[str]) -> str:
    return f"{'columns' if len(names) > 1 else 'a column'} called {' and '.join(names)}"


def _text(lines: TextIO, task: Task) -> Iterator[Row]:
    required = [name for name, field in task.inputs.model_fields.items() if field.is_required()]
    if required != ["text"]:
        raise SettingsError(
            f"a line of text does not say what {task.name} needs: {' and '.join(required)}; "
            "use JSON Lines, or a CSV with these columns (--format, or the file's name, tells)"
        )
    for number, line in enumerate(lines, 1):
        yield Row(str(number), {"text": line.rstrip("\r\n")})


_READERS = {"jsonl": _jsonl, "csv": _csv, "text": _text}
