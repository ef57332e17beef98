"""Rows of a data file to requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import orjson

from streamproc.errors import SettingsError, Unreadable
from streamproc.messages.json_spans import with_members
from streamproc.messages.request import RequestFields
from streamproc.messages.response import ErrorType
from streamproc.messages.strict_json import decode_object, parse
from streamproc.offline.documents.file import DataFile
from streamproc.offline.documents.row import DataRow
from streamproc.serving.tasks.task import Task

# Cells of these hold JSON; a text alone is not.
_JSON_COLUMNS = ("params", "metadata")


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One row of a file as a request.

    number: its place among the rows, from 1
    id:     its own, as it stands there (pandas writes integers), or what numbers it in its file
    value:  the request in JSON, a JSON row's own bytes; None where the row is none
    fault:  what is wrong with the row; of type `fault_type`
    """

    number: int
    id: str | int
    value: bytes | None
    fault: str = ""
    fault_type: ErrorType = "unreadable"

    @property
    def id_json(self) -> bytes:
        """The id in JSON; it may have more digits than orjson writes."""
        return orjson.dumps(self.id) if isinstance(self.id, str) else b"%d" % self.id


def request_rows(file: DataFile, task: Task, tell: Callable[[str], None]) -> Iterator[RequestRow]:
    """The rows of a file as requests of a task, read as they are asked for.

    tell: is told once, in a line, which columns are not used
    Raises SettingsError when the file has no place for the task's fields, DataFileError.
    """
    if file.format == "text":
        _require_text_alone(file.name, task)
    if file.columns is not None:
        _check_columns(file.name, file.columns, task, tell)
    return _requests(file, task)


def required_fields(task: Task) -> list[str]:
    """The fields that every request of a task has."""
    return [name for name, field in task.inputs.model_fields.items() if field.is_required()]


def _requests(file: DataFile, task: Task) -> Iterator[RequestRow]:
    for number, read in enumerate(file.rows(), 1):
        row = _with_any_number(read) if read.fault and read.written else read
        if row.fault:
            # A value too many moves all that follow; what is in the first column stays there.
            own = _cell_id(row) if (file.columns or ("",))[0] == "id" else ""
            yield RequestRow(number, own or str(row.number), None, row.fault)
        elif file.columns is not None:
            yield _of_cells(number, row, task)
        elif row.written:
            yield _of_json(number, row)
        else:
            yield RequestRow(number, str(row.number), orjson.dumps(row.values))


def _with_any_number(row: DataRow) -> DataRow:
    """A row that only has a number too large to be read, where a request may have such a one."""
    with suppress(Unreadable):
        return replace(row, values=decode_object(row.written), fault="")
    return row


def _of_json(number: int, row: DataRow) -> RequestRow:
    own = row.values.get("id")
    if own is None or own == "":
        return RequestRow(number, str(row.number), row.written)
    if isinstance(own, str):
        return RequestRow(number, own, row.written)
    if isinstance(own, int) and not isinstance(own, bool):
        return RequestRow(number, own, with_members(row.written, {"id": b'"%d"' % own}))
    kind = {list: "a list", dict: "an object", bool: "true or false"}.get(type(own), "a decimal")
    fault = f"line {row.line}: id is {kind}; an id is a string or an integer"
    return RequestRow(number, str(row.number), None, fault, "invalid")


def _of_cells(number: int, row: DataRow, task: Task) -> RequestRow:
    """A request of a CSV's cells; one that is empty is not given, but for the task's own fields."""
    cells = {name: str(cell) for name, cell in row.values.items()}
    request: dict[str, Any] = {
        name: cells[name] for name in task.inputs.model_fields & cells.keys()
    }
    own = _cell_id(row)
    if own:
        request["id"] = own
    if cells.get("ensemble"):
        request["ensemble"] = cells["ensemble"]
    if cells.get("deadline_ms"):
        request["deadline_ms"] = _whole(cells["deadline_ms"])
    for name in _JSON_COLUMNS:
        if cells.get(name):
            written = cells[name].encode()
            try:
                parse(written, ((),) if name == "metadata" else ())
            except orjson.JSONDecodeError as error:
                fault = f"line {row.line}: {name} is not JSON: {error.msg}; a text stands in quotes"
                return RequestRow(number, own or str(row.number), None, fault, "invalid")
            request[name] = orjson.Fragment(written)
    return RequestRow(number, own or str(row.number), orjson.dumps(request))


def _cell_id(row: DataRow) -> str:
    return str(row.values.get("id") or "")


def _whole(cell: str) -> int | str:
    """A cell's number; pandas writes 1.0 where a column has gaps. What is none stays as it is."""
    try:
        number = float(cell)
        return int(number) if number.is_integer() else cell
    except ValueError:
        return cell


def _check_columns(
    file: str, columns: tuple[str, ...], task: Task, tell: Callable[[str], None]
) -> None:
    lacking = [name for name in required_fields(task) if name not in columns]
    if lacking:
        called = f"{'columns' if len(lacking) > 1 else 'a column'} called {' and '.join(lacking)}"
        raise SettingsError(f"{file} needs {called} for {task.name}; it has {list(columns)}")
    used = [*task.inputs.model_fields, *RequestFields.model_fields]
    unused = [name for name in columns if name not in used]
    if unused:
        tell(f"columns that are not used: {', '.join(unused)} (used are: {', '.join(used)})")


def _require_text_alone(file: str, task: Task) -> None:
    required = required_fields(task)
    if required != ["text"]:
        raise SettingsError(
            f"{file}: a line of text does not contain what {task.name} needs: "
            f"{' and '.join(required)}; use JSON Lines, or a CSV with these columns (--format, or "
            "the file's name, tells)"
        )
