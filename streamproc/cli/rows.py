"""Rows of a file to requests: JSON Lines, CSV, or a text a line."""

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

Format = Literal["jsonl", "csv", "text"]
_BY_SUFFIX: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}


@dataclass(frozen=True, slots=True)
class Row:
    """One row; `id` is the row's own, or its number from 1.

    request: None where the row is no JSON object; `fault` then says why
    """

    id: str
    request: dict[str, Any] | None
    fault: str = ""


def read_rows(path: Path, form: Format | None) -> Iterator[Row]:
    """The rows of a file, read as they are asked for; "-" is standard input.

    form: None tells it by the file's name, and takes lines of text where that says nothing
    Raises SettingsError when the file can't be read.
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
            yield from _READERS[form](lines)
    except OSError as error:
        raise SettingsError(f"can't read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from None


def _jsonl(lines: TextIO) -> Iterator[Row]:
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


def _csv(lines: TextIO) -> Iterator[Row]:
    reader = csv.DictReader(lines)
    if reader.fieldnames is None or "text" not in reader.fieldnames:
        raise SettingsError(f"the CSV needs a column called text; it has {reader.fieldnames}")
    for number, row in enumerate(reader, 1):
        yield Row(row.get("id") or str(number), {"text": row["text"] or ""})


def _text(lines: TextIO) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        yield Row(str(number), {"text": line.rstrip("\r\n")})


_READERS = {"jsonl": _jsonl, "csv": _csv, "text": _text}
