"""The request that a row's fields make, as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from streamproc.errors import Invalid
from streamproc.messages.json_spans import Span, member_spans, value_start, with_members
from streamproc.messages.request import RequestFields
from streamproc.messages.strict_json import parse
from streamproc.offline.documents.row import DataRow
from streamproc.serving.tasks.task import Task

RowId = str | int
# Cells of these hold JSON; a text alone is not.
_JSON_COLUMNS = ("params", "metadata")
# Of OpenAI's bodies: what holds the text where there is no field of ours.
_OPENAI_TEXTS = ("input", "prompt")


class RequestMaker:
    """Makes requests of a task out of rows.

    used: by request field, the column that it is read from
    """

    def __init__(self, task: Task, columns: Mapping[str, str]) -> None:
        """columns: as `used`, of fields whose column has another name"""
        self._columns = columns
        self._own = tuple(task.inputs.model_fields)
        fields = (*self._own, *RequestFields.model_fields)
        self.used = {field: columns.get(field, field) for field in fields}

    def id_of(self, row: DataRow) -> RowId | None:
        """The id that a row has itself; raises Invalid for what is none."""
        openai = _openai_body(row) is not None
        own = row.values.get("custom_id" if openai else self.used["id"])
        if own is None or own == "":
            return None
        if isinstance(own, float) and own.is_integer() and not row.written:
            return int(own)  # pandas writes 1.0 where a column has gaps
        if isinstance(own, str | int) and not isinstance(own, bool):
            return own
        kind = {list: "a list", dict: "an object", bool: "true or false"}.get(type(own))
        kind = kind or ("a decimal" if isinstance(own, float) else f"a {type(own).__name__}")
        raise _invalid(row, f"id is {kind}; an id is a string or an integer")

    def of_text(self, row: DataRow) -> bytes:
        """The request of a line of text or a document."""
        return orjson.dumps(
            {field: row.values[column] for field, column in self._present(row.values)}
        )

    def of_json(self, row: DataRow) -> bytes:
        """The request of a JSON object, whose bytes stay; raises Invalid."""
        body = _openai_body(row)
        if body is not None:
            return self._of_openai(row, body)
        own, written = self.id_of(row), row.written
        if self._columns:
            written = _object(self._members(row, row.values))
        if isinstance(own, int):
            written = with_members(written, {"id": b'"%d"' % own})
        return written

    def of_values(self, row: DataRow) -> bytes:
        """The request of typed columns, as Parquet has them; raises Invalid."""
        own = self.id_of(row)
        request: dict[str, Any] = {} if own is None else {"id": str(own)}
        for field, column in self._present(row.values):
            value = row.values[column]
            if value is None or field == "id":
                continue
            if field in _JSON_COLUMNS and isinstance(value, str):
                if not value:
                    continue
                value = _json_cell(column, value, row)
            request[field] = value
        try:
            return orjson.dumps(request)
        except TypeError as error:
            raise _invalid(row, f"not to be written as JSON: {error}") from None

    def of_cells(self, row: DataRow) -> bytes:
        """The request of a CSV's cells; raises Invalid.

        An empty cell is not given, but for the task's own fields.
        """
        request: dict[str, Any] = {}
        for field, column in self._present(row.values):
            cell = str(row.values[column])
            if field in self._own:
                request[field] = cell
            elif cell and field == "deadline_ms":
                request[field] = _whole(cell)
            elif cell:
                request[field] = _json_cell(column, cell, row) if field in _JSON_COLUMNS else cell
        return orjson.dumps(request)

    def _of_openai(self, row: DataRow, body: Mapping[str, object]) -> bytes:
        """What of the body of a line of OpenAI's batches is a request."""
        text = row.written.decode()
        start, _ = _spans(row, text, value_start(text))["body"]
        members = self._members(row, body, start)
        members.pop("id", None)
        if "text" in self._own and "text" not in members:
            name = next((one for one in _OPENAI_TEXTS if one in body), None)
            if name is None or not isinstance(body[name], str):
                held = f"{name} is no string" if name else f"it has {', '.join(body) or 'nothing'}"
                raise _invalid(row, f"the body needs a text, called text, input or prompt; {held}")
            members["text"] = orjson.dumps(body[name])
        return _object(members)

    def _members(
        self, row: DataRow, values: Mapping[str, object], start: int | None = None
    ) -> dict[str, bytes]:
        """The fields of the object at `start`, each with its bytes; raises Invalid."""
        for field, name in self._columns.items():
            if field in self._own and name not in values:
                raise _invalid(row, f"no field {name!r}; it has {', '.join(map(repr, values))}")
        text = row.written.decode()
        spans = _spans(row, text, value_start(text) if start is None else start)
        found = ((field, spans[column]) for field, column in self._present(values))
        return {field: text[begin:end].encode() for field, (begin, end) in found}

    def _present(self, values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        return ((field, name) for field, name in self.used.items() if name in values)


def _openai_body(row: DataRow) -> Mapping[str, object] | None:
    """The body of a line of a batch as OpenAI has them; None of other rows."""
    body = row.values.get("body") if row.written and "custom_id" in row.values else None
    return body if isinstance(body, dict) else None


def _spans(row: DataRow, text: str, start: int) -> dict[str, Span]:
    try:
        return member_spans(text, start)
    except RecursionError:
        raise _invalid(row, "nested too deeply") from None


def _invalid(row: DataRow, why: str) -> Invalid:
    return Invalid("invalid request", f"line {row.line}: {why}")


def _object(members: Mapping[str, bytes]) -> bytes:
    pairs = (b"%b:%b" % (orjson.dumps(name), value) for name, value in members.items())
    return b"{%b}" % b",".join(pairs)


def _json_cell(column: str, cell: str, row: DataRow) -> orjson.Fragment:
    written = cell.encode()
    try:
        parse(written, ((),) if column == "metadata" else ())
    except orjson.JSONDecodeError as error:
        why = f"{column} is not JSON: {error.msg}; a text stands in quotes"
        raise _invalid(row, why) from None
    return orjson.Fragment(written)


def _whole(cell: str) -> int | str:
    """A cell's number; pandas writes 1.0 where a column has gaps. What is none stays as it is."""
    try:
        number = float(cell)
        return int(number) if number.is_integer() else cell
    except ValueError:
        return cell
