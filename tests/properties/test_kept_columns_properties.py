"""Whatever a column of the input holds: it is beside the answers as it was."""

from __future__ import annotations

import io
import math
import tempfile
from pathlib import Path

import orjson
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyarrow import parquet

from streamproc.offline.bulk.answer_format import JsonLines
from streamproc.offline.bulk.origin import origin_of
from streamproc.offline.bulk.parquet_format import Parquet
from streamproc.offline.bulk.request_rows import RequestRow, request_rows
from streamproc.offline.documents.file import open_data_file
from streamproc.serving.tasks.catalogue import task_named

TASK = "text-classification"
# Of the years 1 to 9999, which are those that Python has.
MICROSECONDS = st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)
# But for the part of a second before, which Arrow does not read from text.
NANOSECONDS = st.integers(-(2**63 // 10**9) * 10**9, 2**63 - 1)
TYPES = {
    "timestamp": (pa.timestamp("us"), MICROSECONDS),
    "instant": (pa.timestamp("us", tz="Europe/Berlin"), MICROSECONDS),
    "timestamp of nanoseconds": (pa.timestamp("ns"), NANOSECONDS),
    "instant of nanoseconds": (pa.timestamp("ns", tz="Europe/Berlin"), NANOSECONDS),
}


def rows_of(name: str, content: bytes) -> list[RequestRow]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        with open_data_file(path) as file:
            return list(request_rows(file, task_named(TASK), lambda _: None))


def kept(column: pa.Array) -> pa.ChunkedArray:
    """A column as it is in Parquet beside the answers to the rows that had it."""
    source, made = io.BytesIO(), io.BytesIO()
    parquet.write_table(pa.table({"text": ["a"] * len(column), "x": column}), source)
    form = Parquet(TASK, columns=True)
    rows = rows_of("a.parquet", source.getvalue())
    for row in rows:
        form.note(row)
    with form.writing(made) as write:
        for row in rows:
            write(b'{"id":"1","status":"ok"}', origin_of(row, columns=True))
    return parquet.read_table(pa.BufferReader(made.getvalue()))["x"]


@pytest.mark.parametrize("kind", TYPES)
@given(st.data())
def test_times_of_parquet_are_kept_to_the_last_digit(kind: str, data: st.DataObject) -> None:
    of, integers = TYPES[kind]
    values = data.draw(st.lists(st.none() | integers, min_size=1, max_size=4))

    found = kept(pa.array(values, pa.int64()).cast(of))

    assert found.cast(of).cast(pa.int64()).to_pylist() == values


@given(st.lists(st.none() | st.floats(), min_size=1, max_size=5))
@example([math.inf, -math.inf, math.nan, None, -0.0])
def test_floats_of_parquet_are_kept(values: list[float | None]) -> None:
    found = kept(pa.array(values, pa.float64()))

    assert list(map(repr, found.to_pylist())) == list(map(repr, values))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")) | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def in_json(value: object) -> bytes:
    """As JSON may be written: numbers of any length, and blanks."""
    if isinstance(value, list):
        return b"[ %b ]" % b",\n".join(map(in_json, value))
    if isinstance(value, str | bool | None):
        return orjson.dumps(value)
    return str(value).lower().encode()


@given(JSON)
def test_a_row_of_json_is_kept_to_the_byte(value: object) -> None:
    written = b'{"text":"a",\n "metadata" : %b}' % in_json(value)

    (row,) = rows_of("a.json", written)
    line = JsonLines(columns=True).line(b'{"id":"1"}', origin_of(row, columns=True))

    assert line == b'{"id":"1","columns":%b}\n' % written.replace(b"\n", b" ")
