"""Answers as Parquet: a column for each field of a task's response, and those of the source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import pyarrow as pa
from pyarrow import parquet

from streamproc.errors import OperatorError
from streamproc.local.arrow_types import arrow_type
from streamproc.messages.json_spans import member_span
from streamproc.messages.response_types import RecordOf, response_fields
from streamproc.messages.strict_json import parse
from streamproc.offline.bulk.answer_format import AnswerFormat, WriteAnswer
from streamproc.offline.bulk.kept_columns import ColumnType, KeptColumns
from streamproc.offline.bulk.origin import Origin
from streamproc.offline.bulk.request_rows import RequestRow

# Parsed answers take ten times the memory of their JSON, so few become columns at a time; row
# groups are large, as those who read them like it.
_BATCH_ROWS, _BATCH_BYTES = 1_024, 4 << 20
_GROUP_ROWS, _GROUP_BYTES = 65_536, 32 << 20
# Objects whose members are columns of their own, with what their names begin with.
_FLATTENED = {"result": "", "error": "error_"}
_COLUMN_TYPES: Mapping[ColumnType, pa.DataType] = {
    "null": pa.string(),
    "bool": pa.bool_(),
    "int": pa.int64(),
    "long": pa.int64(),
    "double": pa.float64(),
    "date": pa.date32(),
    "time": pa.timestamp("us"),
    "instant": pa.timestamp("us", tz="UTC"),
    "text": pa.string(),
}
_ALL_COLUMNS = "columns"


class Parquet(AnswerFormat):
    """A row for each answer: id, where it is from, the source's columns, the response's fields.

    The members of `result` and of `error` are columns of their own. Spans are lists of structs.
    """

    source = True

    def __init__(self, task: str, *, columns: bool = False) -> None:
        self.columns = columns
        self._task = task
        self._kept = KeptColumns()

    def note(self, row: RequestRow) -> None:
        """Columns of the source get a type that takes the values of all rows."""
        if self.columns:
            self._kept.note(row.columns, row.id)

    @contextmanager
    def writing(self, file: IO[bytes]) -> Iterator[WriteAnswer]:
        """Row groups of tens of thousands of rows, compressed with zstd."""
        answers = self._answer_columns()
        names = self._kept.names({*answers, "source_file", "source_row", _ALL_COLUMNS})
        schema = pa.schema(
            [
                ("id", answers.pop("id")),
                ("source_file", pa.string()),
                ("source_row", pa.int64()),
                *self._kept_fields(names),
                *answers.items(),
            ]
        )
        rows: list[dict[str, Any]] = []
        batches: list[pa.RecordBatch] = []
        size = 0

        def batch() -> None:
            nonlocal size
            if rows:
                batches.append(_batch(rows, schema))
            rows.clear()
            size = 0

        with parquet.ParquetWriter(file, schema, compression="zstd") as writer:

            def group() -> None:
                batch()
                if batches:
                    writer.write_table(pa.Table.from_batches(batches))
                batches.clear()

            def write(answer: bytes, origin: Origin | None) -> None:
                nonlocal size
                rows.append(self._row(answer, origin, names))
                size += len(answer) + len((origin and origin.columns) or b"")
                if len(rows) >= _BATCH_ROWS or size >= _BATCH_BYTES:
                    batch()
                    if (
                        sum(one.num_rows for one in batches) >= _GROUP_ROWS
                        or sum(one.nbytes for one in batches) >= _GROUP_BYTES
                    ):
                        group()

            yield write
            group()

    def _answer_columns(self) -> dict[str, pa.DataType]:
        """The columns of a response, with their types."""
        columns: dict[str, pa.DataType] = {}
        for name, kind in response_fields(self._task).items():
            if name in _FLATTENED and isinstance(kind, RecordOf):
                for member, of_member in kind.fields.items():
                    columns[_FLATTENED[name] + member] = arrow_type(of_member)
            else:
                columns[name] = arrow_type(kind)
        return columns

    def _kept_fields(self, names: Mapping[str, str]) -> Iterator[tuple[str, pa.DataType]]:
        if self._kept.too_many:
            yield _ALL_COLUMNS, pa.string()
        for name, called in names.items():
            yield called, _COLUMN_TYPES[self._kept.types[name]]

    def _row(
        self, answer: bytes, origin: Origin | None, names: Mapping[str, str]
    ) -> dict[str, Any]:
        response = parse(answer)
        row: dict[str, Any] = {}
        for name, value in response.items():
            if name in _FLATTENED:
                row |= {_FLATTENED[name] + member: one for member, one in value.items()}
            elif name == "metadata" or (name == "id" and not isinstance(value, str)):
                row[name] = _text_of(answer, name)
            else:
                row[name] = value
        if origin is not None:
            row |= {"source_file": origin.file, "source_row": origin.row}
            if origin.columns is not None:
                row |= self._kept_values(origin.columns, names)
        return row

    def _kept_values(self, columns: bytes, names: Mapping[str, str]) -> dict[str, Any]:
        if self._kept.too_many:
            return {_ALL_COLUMNS: columns.decode()}
        return {
            names[name]: value
            for name, value in self._kept.values(columns).items()
            if name in names
        }


def _batch(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    try:
        columns = [
            pa.array([row.get(field.name) for row in rows], type=field.type) for field in schema
        ]
    except (pa.ArrowException, OverflowError) as error:
        raise OperatorError(
            f"an answer does not fit the columns of its task: {error}; the answers of workers of "
            "another version can be written as JSON Lines (--output answers.jsonl)"
        ) from None
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _text_of(answer: bytes, name: str) -> str:
    """A member's JSON, to the byte."""
    span = member_span(answer, name)
    return "null" if span is None else answer[span].decode()
