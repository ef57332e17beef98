"""Rows of many files as requests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from streamproc.errors import DataFileError
from streamproc.offline.bulk.input_rows import InputRows, ReadingOptions
from streamproc.offline.bulk.request_rows import RequestRow
from streamproc.offline.documents.inputs import Inputs
from streamproc.offline.documents.row import RowSource
from streamproc.serving.tasks.catalogue import task_named

CLASSIFY, ASK = "text-classification", "question-answering"


def rows_of(
    *given: Path, task: str = CLASSIFY, told: list[str] | None = None, **columns: str
) -> list[RequestRow]:
    said = told.append if told is not None else lambda _: None
    rows = InputRows(Inputs(given), task_named(task), said, ReadingOptions(columns=columns))
    return list(rows)


def asked(row: RequestRow) -> Any:
    assert row.value is not None, row.fault
    return orjson.loads(row.value)


def write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def test_rows_of_many_files_are_numbered_through_and_know_their_source(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a.csv": "id,text,film\nx,fine,1\n,bad,2\n",
            "b/c.jsonl": '{"text": "good", "n": 1}\n\n{"id": 7, "text": "dull"}\n',
            "d.txt": "one text\nof two lines\n",
        },
    )

    rows = rows_of(tmp_path)

    assert [row.number for row in rows] == [1, 2, 3, 4, 5]
    assert [row.id for row in rows] == ["x", "a.csv#2", "b/c.jsonl#1", 7, "d.txt"]
    assert [row.source for row in rows] == [
        RowSource("a.csv", 1),
        RowSource("a.csv", 2),
        RowSource("b/c.jsonl", 1),
        RowSource("b/c.jsonl", 3),
        RowSource("d.txt", None),
    ]
    assert rows[1].columns == {"id": "", "text": "bad", "film": "2"}
    assert rows[2].columns == {"text": "good", "n": 1}
    assert asked(rows[4]) == {"text": "one text\nof two lines\n"}


def test_a_file_that_is_wrong_is_an_error_and_the_next_ones_are_read(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a.csv": "review\nfine\n",
            "b.json": '[{"text": "good"}, {"text"',
            "c.jsonl": b"",
            "d.csv": b"text\nd\xe9cevant\n",
            "e.csv.gz": b"no gzip",
            "f.txt": b"",
            "g.txt": "fine",
        },
    )

    rows = rows_of(tmp_path)

    faults = {str(row.id): row.fault for row in rows if row.value is None}
    assert [row.number for row in rows] == list(range(1, 9))
    assert {name: fault.partition(name)[2] for name, fault in faults.items()} == {
        "a.csv": " needs a column called text for text-classification; it has: review",
        "b.json": ", line 1: what begins here has no end",
        "c.jsonl": " has no rows",
        "d.csv": faults["d.csv"].partition("d.csv")[2],
        "e.csv.gz": " is not gzip, as its name says",
        "f.txt": " is empty",
    }
    assert "line 2: not UTF-8" in faults["d.csv"]
    assert [row.id for row in rows if row.value is not None] == ["b.json#1", "g.txt"]


def test_a_single_file_that_is_wrong_ends_the_whole_and_its_rows_have_numbers(
    tmp_path: Path,
) -> None:
    write(tmp_path, {"a.json": '[{"text": "good"}', "b.txt": "one\ntwo\n"})

    with pytest.raises(DataFileError, match="the array has no ]"):
        rows_of(tmp_path / "a.json")
    assert [(row.id, row.source) for row in rows_of(tmp_path / "b.txt")] == [
        ("1", RowSource("b.txt", 1)),
        ("2", RowSource("b.txt", 2)),
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "key,review,about\n7,fine,who\n"),
        ("a.jsonl", '{"key": "7", "review": "fine", "about": "who", "text": "not this"}\n'),
    ],
)
def test_columns_of_other_names_are_mapped(tmp_path: Path, name: str, content: str) -> None:
    write(tmp_path, {name: content})

    (row,) = rows_of(tmp_path / name, id="key", text="review")

    assert row.id == "7"
    assert asked(row) == {"id": "7", "text": "fine"}


def test_mapped_values_of_json_keep_their_bytes(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"a.jsonl": '{"t": "a\\u00e9", "more": {"n": 1.10, "big": 12345678901234567890123}}'},
    )

    (row,) = rows_of(tmp_path / "a.jsonl", text="t", metadata="more")

    assert row.value == (
        b'{"text":"a\\u00e9","metadata":{"n": 1.10, "big": 12345678901234567890123}}'
    )


def test_two_fields_of_a_question_are_mapped(tmp_path: Path) -> None:
    write(tmp_path, {"a.tsv": "q\tc\nWho?\tAnna\n"})

    (row,) = rows_of(tmp_path / "a.tsv", task=ASK, question="q", context="c")

    assert asked(row) == {"question": "Who?", "context": "Anna"}


def test_a_batch_as_openai_has_it_is_read(tmp_path: Path) -> None:
    lines = [
        {"custom_id": "r1", "method": "POST", "url": "/v1/embeddings", "body": {"input": "good"}},
        {"custom_id": "r2", "body": {"model": "x", "text": "own", "input": "not", "params": {}}},
        {"custom_id": "r3", "body": {"input": ["a", "b"]}},
        {"custom_id": "r4", "body": {"messages": []}},
        {"custom_id": "r5", "body": {"prompt": "Once"}},
    ]
    write(tmp_path, {"a.jsonl": b"\n".join(map(orjson.dumps, lines))})

    rows = rows_of(tmp_path / "a.jsonl")

    assert [asked(row) for row in (rows[0], rows[1], rows[4])] == [
        {"text": "good"},
        {"text": "own", "params": {}},
        {"text": "Once"},
    ]
    assert [row.id for row in rows] == ["r1", "r2", "r3", "r4", "r5"]
    assert "input is no string" in rows[2].fault
    assert "it has messages" in rows[3].fault


def test_the_share_read_grows_to_one_over_all_files(tmp_path: Path) -> None:
    write(tmp_path, {f"{number}.txt": "text " * number for number in range(1, 5)})
    rows = InputRows(Inputs([tmp_path]), task_named(CLASSIFY))

    shares = [rows.share_read or 0 for _ in rows]

    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] == rows.share_read == 1


def test_what_may_be_a_mistake_is_told_once_and_not_for_ever(tmp_path: Path) -> None:
    alike = {f"a{n}.csv": "text,film\na,b\n" for n in range(3)}
    write(tmp_path, alike | {f"b{n:03}.csv": f"text,c{n:03}\na,b\n" for n in range(80)})
    told: list[str] = []

    rows_of(tmp_path, told=told)

    assert sum("film" in line for line in told) == 1
    assert len(told) == 50
    assert told[-1].endswith("no more of these lines are shown")


def test_a_value_of_parquet_that_python_does_not_have_is_a_fault_of_its_row_where_it_is_read(
    tmp_path: Path,
) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    texts = pa.array([b"fine", b"caf\xe9", b"bad"], pa.binary()).view(pa.string())
    far = pa.array([0, 1, 2**62], pa.int64()).cast(pa.timestamp("us"))
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"text": texts, "at": far, "id": ["x", "y", "z"]}), path)
    inputs, task = Inputs([path]), task_named(CLASSIFY)

    needed = list(InputRows(inputs, task))
    kept = list(InputRows(inputs, task, options=ReadingOptions(keep_columns=True)))

    assert [row.id for row in needed] == [row.id for row in kept] == ["x", "y", "z"]
    assert [row.fault_type for row in kept] == ["unreadable"] * 3
    assert [row.fault.partition("'")[0] for row in needed] == ["", "line 2: column ", ""]
    assert [row.fault.partition(" has")[0] for row in kept] == [
        "",
        "line 2: column 'text'",
        "line 3: column 'at'",
    ]
    assert needed[0].columns == {"text": "fine", "id": "x"}
    assert kept[2].columns == {"text": "bad", "id": "z"}
    assert (needed[1].value, kept[2].value) == (None, None)
