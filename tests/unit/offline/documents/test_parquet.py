"""Rows of Parquet: values that Python does not have, unread columns, times to the last digit."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from streamproc.errors import DataFileError
from streamproc.offline.documents.file import open_data_file
from streamproc.offline.documents.row import DataRow

pytest.importorskip("pyarrow")

import pyarrow as pa
from pyarrow import parquet

IN_1890_S = -2_500_000_000
AT_NS = 1_704_067_200_123_456_789


def not_utf8(*texts: bytes) -> pa.Array:
    return pa.array(texts, pa.binary()).view(pa.string())


def stored(kind: pa.DataType, *values: int | None) -> pa.Array:
    """A column of times, as the integers that they are in the file."""
    width = pa.int32() if kind.bit_width == 32 else pa.int64()
    return pa.array(values, width).cast(kind)


def read(folder: Path, table: pa.Table, columns: Collection[str] | None = None) -> list[DataRow]:
    path = folder / "a.parquet"
    parquet.write_table(table, path)
    with open_data_file(path, columns=columns) as file:
        return list(file.rows())


def values(folder: Path, column: pa.Array) -> list[Any]:
    return [row.values["x"] for row in read(folder, pa.table({"x": column}))]


OUTSIDE_PYTHON = {
    "timestamp": stored(pa.timestamp("us"), 0, 2**62, 1),
    "instant": stored(pa.timestamp("s", tz="UTC"), 0, 253_402_300_800, 1),
    "date": stored(pa.date32(), 0, 2_932_897, 1),
    "duration": stored(pa.duration("s"), 0, 2**62, 1),
    "text": not_utf8(b"a", b"caf\xe9", b"b"),
    "category": not_utf8(b"a", b"caf\xe9", b"b").dictionary_encode(),
    "list": pa.ListArray.from_arrays([0, 1, 2, 3], not_utf8(b"a", b"caf\xe9", b"b")),
    "struct": pa.StructArray.from_arrays([stored(pa.timestamp("us"), 0, 2**62, 1)], ["at"]),
}


@pytest.mark.parametrize("kind", OUTSIDE_PYTHON)
def test_only_the_row_whose_value_python_does_not_have_has_a_fault_and_keeps_its_other_values(
    tmp_path: Path, kind: str
) -> None:
    table = pa.table({"id": [1, 2, 3], "x": OUTSIDE_PYTHON[kind]})

    rows = read(tmp_path, table)

    assert [row.number for row in rows] == [1, 2, 3]
    assert [row.values["id"] for row in rows] == [1, 2, 3]
    assert ["x" in row.values for row in rows] == [True, False, True]
    assert [bool(row.fault) for row in rows] == [False, True, False]
    assert rows[1].fault.startswith("line 2: column 'x' has a value that can't be read as ")


@pytest.mark.parametrize("kind", OUTSIDE_PYTHON)
def test_a_column_that_nobody_reads_makes_no_fault(tmp_path: Path, kind: str) -> None:
    table = pa.table({"id": [1, 2, 3], "x": OUTSIDE_PYTHON[kind]})

    rows = read(tmp_path, table, columns=["id", "not there"])

    assert [(row.values, row.fault) for row in rows] == [({"id": n}, "") for n in (1, 2, 3)]


def test_a_column_whose_name_has_a_dot_is_not_a_member_of_a_struct(tmp_path: Path) -> None:
    table = pa.Table.from_arrays(
        [pa.array([{"b": 1}]), pa.array([2]), pa.array([3])], names=["a", "a.b", "a.c"]
    )

    (one,) = read(tmp_path, table, columns=["a.b"])
    (all_of_them,) = read(tmp_path, table)

    assert one.values == {"a.b": 2}
    assert all_of_them.values == {"a": {"b": 1}, "a.b": 2, "a.c": 3}


def test_names_of_columns_that_are_not_utf8_are_told_in_a_sentence(tmp_path: Path) -> None:
    table = pa.table([pa.array([1])], schema=pa.schema([pa.field(b"caf\xe9", pa.int64())]))

    with pytest.raises(DataFileError, match=r"a\.parquet: not readable as Parquet: .*0xe9"):
        read(tmp_path, table)


@pytest.mark.skipif(sys.platform == "darwin", reason="names of files are UTF-8 there")
def test_a_file_is_read_whose_name_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.parquet")
    made = tmp_path / "made.parquet"
    parquet.write_table(pa.table({"text": ["a"]}), made)
    made.rename(path)

    with open_data_file(path) as file:
        assert [row.values for row in file.rows()] == [{"text": "a"}]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (
            stored(pa.timestamp("ns"), AT_NS, AT_NS - 789, None, -1),
            [
                "2024-01-01T00:00:00.123456789",
                datetime(2024, 1, 1, 0, 0, 0, 123456),  # noqa: DTZ001 - of no zone
                None,
                "1969-12-31T23:59:59.999999999",
            ],
        ),
        (
            stored(pa.timestamp("ns", tz="Europe/Berlin"), AT_NS, 1),
            ["2024-01-01T00:00:00.123456789+00:00", "1970-01-01T00:00:00.000000001+00:00"],
        ),
        (
            stored(pa.timestamp("ms", tz="Mars/One"), 1_001),
            [datetime(1970, 1, 1, 0, 0, 1, 1_000, UTC)],
        ),
        (
            stored(pa.timestamp("s", tz="Europe/Berlin"), IN_1890_S, 253_402_300_799),
            [
                datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=IN_1890_S),
                datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
            ],
        ),
        (
            stored(pa.time64("ns"), 3_723_000_000_001, 3_723_000_001_000),
            ["01:02:03.000000001", time(1, 2, 3, 1)],
        ),
        (stored(pa.time32("s"), 3_723), [time(1, 2, 3)]),
        (
            stored(pa.duration("ns"), 1, 2_000, -1),
            ["0:00:00.000000001", timedelta(microseconds=2), "-1 day, 23:59:59.999999999"],
        ),
        (stored(pa.duration("s"), 90_061), [timedelta(days=1, hours=1, minutes=1, seconds=1)]),
        (stored(pa.date32(), 1), [date(1970, 1, 2)]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_times_are_read_to_the_last_digit_and_instants_in_utc(
    tmp_path: Path, column: pa.Array, expected: list[object]
) -> None:
    assert values(tmp_path, column) == expected


def test_times_within_other_values_are_read_as_times_alone_are(tmp_path: Path) -> None:
    at = stored(pa.timestamp("ns", tz="Mars/One"), AT_NS, None)
    names = pa.array(["k", "l"])
    alone = ["2024-01-01T00:00:00.123456789+00:00", None]

    for lists in (
        pa.ListArray.from_arrays([0, 1, 2], at),
        pa.LargeListArray.from_arrays([0, 1, 2], at),
        pa.FixedSizeListArray.from_arrays(at, 1),
    ):
        assert values(tmp_path, lists) == [[one] for one in alone]
    structs = pa.StructArray.from_arrays([at, names], ["at", "name"])
    assert values(tmp_path, structs) == [
        {"at": one, "name": name} for one, name in zip(alone, "kl", strict=True)
    ]
    maps = pa.MapArray.from_arrays([0, 1, 2], names, at)
    assert values(tmp_path, maps) == [[("k", alone[0])], [("l", None)]]
    assert values(tmp_path, pa.array([None, [], [None]], pa.list_(at.type))) == [None, [], [None]]
