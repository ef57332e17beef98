"""Rows of a data file to requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

import orjson

from streamproc.errors import Invalid, SettingsError, Unreadable
from streamproc.messages.response import ErrorType
from streamproc.messages.strict_json import decode_object
from streamproc.offline.bulk.request_fields import RequestMaker, RowId
from streamproc.offline.documents.file import DataFile
from streamproc.offline.documents.row import DataRow, RowSource, values_with_any_number
from streamproc.serving.tasks.task import Task

_NO_SOURCE = RowSource("", None)


class FieldsMissing(SettingsError):
    """A file has no place for the fields that a task needs."""


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One row of the input as a request.

    number:   its place among all rows, from 1
    id:       its own, as it stands there (pandas writes integers), or what tells it from all others
    value:    the request in JSON, a JSON row's own bytes; None where the row is none
    fault:    what is wrong with the row; of type `fault_type`
    source:   where it comes from
    columns:  what it holds there, by name; of a row with a fault, what could be read
    written:  these as a JSON object, as it stands there; b"" where they are not written so
    warnings: what was not read of it, or not surely read as it was meant
    """

    number: int
    id: RowId
    value: bytes | None
    fault: str = ""
    fault_type: ErrorType = "unreadable"
    source: RowSource = _NO_SOURCE
    columns: Mapping[str, object] = field(default_factory=dict)
    written: bytes = b""
    warnings: tuple[str, ...] = ()

    @property
    def id_json(self) -> bytes:
        """The id in JSON; it may have more digits than orjson writes."""
        return orjson.dumps(self.id) if isinstance(self.id, str) else b"%d" % self.id


def request_rows(
    file: DataFile,
    task: Task,
    tell: Callable[[str], None],
    *,
    columns: Mapping[str, str] | None = None,
    tell_unused: bool = True,
    name: str = "",
    default_id: Callable[[int | None], str] = str,
    first: int = 1,
) -> Iterator[RequestRow]:
    """The rows of a file as requests of a task, read as they are asked for.

    tell:    is told in a line what may be a mistake
    columns: by request field, the column that it is read from, where that has another name
    tell_unused: a column that no field is read from may be a mistake
    name:    of the file, in `RequestRow.source`
    default_id: the id of a row that has none, by its number; None is the whole file
    first:   number of the first row
    Raises FieldsMissing when the file has no place for the task's fields, DataFileError.
    """
    maker = RequestMaker(task, columns or {})
    if file.said:
        tell(file.said)
    if file.columns is not None:
        unused = _check_columns(file.name, file.columns, task, maker)
        if unused and tell_unused:
            names = ", ".join(maker.used.values())
            tell(f"columns that are not used: {', '.join(unused)} (used are: {names})")
    elif file.holds_text:
        _require_text_alone(file.name, task, maker)
    for number, read in enumerate(file.rows(), first):
        row = _with_any_number(read) if read.fault and read.written else read
        place = None if file.is_document else row.number
        own, value, fault, fault_type = _request(file, row, maker)
        yield RequestRow(
            *(number, default_id(place) if own is None else own, value, fault, fault_type),
            source=RowSource(name, place),
            columns=row.values,
            written=b"" if row.fault else row.written,
            warnings=row.warnings,
        )


def used_columns(task: Task, columns: Mapping[str, str]) -> frozenset[str]:
    """The columns that requests are read from; columns: as `request_rows` has them."""
    return frozenset(RequestMaker(task, columns).used.values())


def required_fields(task: Task) -> list[str]:
    """The fields that every request of a task has."""
    return [name for name, field in task.inputs.model_fields.items() if field.is_required()]


def _request(
    file: DataFile, row: DataRow, maker: RequestMaker
) -> tuple[RowId | None, bytes | None, str, ErrorType]:
    """The id that a row has itself, its request, or its fault and of which type that is."""
    own: RowId | None = None
    try:
        # A value too many moves all that follow; what is in the first column stays there, and in
        # Parquet everything that could be read.
        is_first = (file.columns or ("",))[0] == maker.used["id"]
        if not row.fault or is_first or file.format == "parquet":
            own = maker.id_of(row)
        if row.fault:
            return own, None, row.fault, "unreadable"
        if file.format == "parquet":
            value = maker.of_values(row)
        elif file.columns is not None:
            value = maker.of_cells(row)
        else:
            value = maker.of_json(row) if row.written else maker.of_text(row)
    except Invalid as error:
        return own, None, error.detail, "invalid"
    return own, value, "", "unreadable"


def _with_any_number(row: DataRow) -> DataRow:
    """A row that only has a number too large to be read, where a request may have such a one."""
    with suppress(Unreadable, ValueError, RecursionError):
        decode_object(row.written)
        return replace(row, values=values_with_any_number(row.written), fault="")
    return row


def _check_columns(
    file: str, columns: tuple[str, ...], task: Task, maker: RequestMaker
) -> list[str]:
    """The columns that no field is read from; raises FieldsMissing where one is lacking."""
    used = maker.used
    lacking = [used[name] for name in required_fields(task) if used[name] not in columns]
    if lacking:
        called = f"{'columns' if len(lacking) > 1 else 'a column'} called {' and '.join(lacking)}"
        there = ", ".join(columns) or "none"
        raise FieldsMissing(f"{file} needs {called} for {task.name}; it has: {there}")
    return [name for name in columns if name not in used.values()]


def _require_text_alone(file: str, task: Task, maker: RequestMaker) -> None:
    lacking = [name for name in required_fields(task) if maker.used[name] != "text"]
    if lacking:
        raise FieldsMissing(
            f"{file}: a text alone does not contain what {task.name} needs: "
            f"{' and '.join(required_fields(task))}; use JSON Lines, or a CSV with these columns "
            "(--format, or the file's name, tells)"
        )
