"""Whatever a file holds and however it is laid out, its rows are the same."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.errors import DataFileError
from streamproc.offline.documents import json_values
from streamproc.offline.documents.file import open_data_file
from streamproc.offline.documents.row import DataRow

_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_OBJECTS = st.lists(st.dictionaries(_TEXT, _JSON, min_size=1, max_size=4), max_size=6)


def json_lines(rows: list[Any], ascii_only: bool, end: str) -> str:
    return "".join(json.dumps(row, ensure_ascii=ascii_only) + end for row in rows)


_LAYOUTS: dict[str, Callable[[list[Any]], str]] = {
    "a.jsonl": lambda rows: json_lines(rows, False, "\n"),
    "b.jsonl": lambda rows: json_lines(rows, True, "\r\n"),
    "c.jsonl": lambda rows: json_lines(rows, False, " \n\n").removesuffix(" \n\n"),
    "d.json": json.dumps,
    "e.json": lambda rows: json.dumps(rows, indent=2, ensure_ascii=False),
    "f.json": lambda rows: "".join(json.dumps(row, indent=1) + "\n" for row in rows),
}


def rows_of(content: bytes, name: str) -> list[DataRow]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        with open_data_file(path) as file:
            return list(file.rows())


@pytest.mark.parametrize("name", _LAYOUTS)
@given(rows=_OBJECTS, bom=st.booleans(), packed=st.booleans(), piece=st.integers(1, 40))
def test_objects_are_read_as_they_were_written_however_they_are_laid_out(
    name: str, rows: list[Any], bom: bool, packed: bool, piece: int
) -> None:
    content = (b"\xef\xbb\xbf" if bom else b"") + _LAYOUTS[name](rows).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_values, "PIECE_BYTES", piece)
        found = rows_of(gzip.compress(content) if packed else content, name)

    assert [row.fault for row in found] == [""] * len(rows)
    assert [orjson.loads(row.written) for row in found] == [
        orjson.loads(json.dumps(r)) for r in rows
    ]
    assert [len(row.values) for row in found] == [len(row) for row in rows]


@given(
    cells=st.lists(st.lists(_TEXT, min_size=2, max_size=2), max_size=6),
    tabs=st.booleans(),
    end=st.sampled_from(["\n", "\r\n"]),
    bom=st.booleans(),
    packed=st.booleans(),
)
def test_cells_are_read_as_the_csv_module_wrote_them(
    cells: list[list[str]], tabs: bool, end: str, bom: bool, packed: bool
) -> None:
    if end == "\n":  # then the module does not quote a carriage return, nor reads what it wrote
        cells = [[cell.replace("\r", "") for cell in row] for row in cells]
    out = io.StringIO()
    table = csv.writer(out, delimiter="\t" if tabs else ",", lineterminator=end)
    table.writerows([["id", "text"], *cells])
    content = (b"\xef\xbb\xbf" if bom else b"") + out.getvalue().encode()

    found = rows_of(gzip.compress(content) if packed else content, "t.tsv" if tabs else "t.csv")

    assert [row.fault for row in found] == [""] * len(cells)
    assert [list(row.values.values()) for row in found] == cells


@given(content=st.binary(max_size=200), name=st.sampled_from(["a", "a.csv", "a.json", "a.jsonl"]))
def test_any_bytes_are_rows_or_one_error(content: bytes, name: str) -> None:
    found: list[DataRow] = []
    with suppress(DataFileError):
        found = rows_of(content, name)

    assert all(row.fault.startswith("line ") for row in found if row.fault)
