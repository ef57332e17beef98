"""A row of a data file, where it stands, and how one is made of JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

# orjson makes floats of integers that have more than 64 bits.
_LONG_INTEGER = re.compile(rb"\d{19}")


@dataclass(frozen=True, slots=True)
class RowSource:
    """Where a row comes from.

    file: the file's name below the folder that all inputs share; "-" is standard input
    row:  its number in the file, as `DataRow.number`; None: the whole file, as of a document
    """

    file: str
    row: int | None


@dataclass(frozen=True, slots=True)
class DataRow:
    """One row, and where it stands in its file.

    line:     where it begins, from 1
    number:   from 1; of JSON Lines and lines of text, where blank lines count, the line
    values:   its fields; of a row with a fault, those that could be read
    written:  the JSON object as it stands in the file, or what stands where one should
    fault:    why it is no row, naming its line; "" where it is one
    warnings: what was not read of it, or not surely read as it was meant
    """

    line: int
    number: int
    values: Mapping[str, object] = field(default_factory=dict)
    written: bytes = b""
    fault: str = ""
    warnings: tuple[str, ...] = ()


def json_row(written: bytes, line: int, number: int) -> DataRow:
    """The row that a JSON object is; one with a fault where it is no such object."""
    try:
        values = orjson.loads(written)
    except orjson.JSONDecodeError as error:
        fault = f"line {line} is not JSON: {error.msg} at character {error.pos + 1}"
        return DataRow(line, number, written=written, fault=fault)
    if not isinstance(values, dict):
        hint = "; name a file that is one JSON array .json" if isinstance(values, list) else ""
        return DataRow(line, number, fault=f"line {line} is not a JSON object{hint}")
    if _LONG_INTEGER.search(written):
        values = _with_long_integers(written, values)
    return DataRow(line, number, values, written)


def as_json(value: object) -> bytes:
    """A value in JSON: integers of any size, and as text what JSON has no type for."""
    try:
        return orjson.dumps(value, default=str)
    except orjson.JSONEncodeError:  # an integer of more than 64 bits
        written = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
        return written.encode()


def values_as_json(values: Mapping[str, object]) -> bytes:
    """A row's values in JSON; NaN and infinities, for which it has no number, are their names."""
    return as_json({name: _with_names(value) for name, value in values.items()})


def values_with_any_number(written: bytes) -> dict[str, object]:
    """An object's values, and as text, as it is written, a number that Python can't hold.

    Raises ValueError and RecursionError, where it is no JSON or nested too deeply.
    """
    values: dict[str, object] = json.loads(written, parse_float=_float, parse_int=_int)
    return values


def _float(written: str) -> float | str:
    value = float(written)
    return value if math.isfinite(value) else written


def _int(written: str) -> int | str:
    try:
        return int(written)
    except ValueError:  # more digits than Python reads
        return written


def _with_names(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {name: _with_names(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_with_names(one) for one in value]
    return value


def _with_long_integers(written: bytes, values: dict[str, object]) -> dict[str, object]:
    try:
        exact: dict[str, object] = json.loads(written)
    except (ValueError, RecursionError):  # more digits, or more levels, than Python reads
        return values
    return exact
