"""Answers in Parquet, beside what they are in JSON."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from streamproc.offline.bulk.origin import origin_of
from streamproc.offline.bulk.request_rows import RequestRow
from streamproc.offline.documents.row import RowSource

pytest.importorskip("pyarrow")

import pyarrow as pa
from pyarrow import parquet

from streamproc.offline.bulk.parquet_format import Parquet

EXAMPLES = Path(__file__).parents[4] / "topics" / "examples"


def written(
    task: str, answers: Sequence[bytes], columns: Sequence[dict[str, Any]] | None = None
) -> pa.Table:
    made, file = Parquet(task, columns=columns is not None), io.BytesIO()
    for number, held in enumerate(columns or (), 1):
        made.note(RequestRow(number, str(number), b"", columns=held))
    with made.writing(file) as write:
        for number, answer in enumerate(answers, 1):
            row = RequestRow(
                number,
                "",
                b"",
                source=RowSource("a.csv", number),
                columns=columns[number - 1] if columns else {},
            )
            write(answer, origin_of(row, columns=columns is not None))
    return parquet.read_table(pa.BufferReader(file.getvalue()))


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.response.*.json")), ids=lambda f: f.name)
def test_every_field_of_a_response_has_a_column(file: Path) -> None:
    response = orjson.loads(file.read_bytes())
    response = response.get("data", response)
    if "id" not in response:
        pytest.skip("no response, but the record around it")

    (row,) = written(response["task"], [orjson.dumps(response)]).to_pylist()

    expected = {name: one for name, one in response.items() if name not in {"result", "error"}}
    expected |= response.get("result", {})
    expected |= {f"error_{name}": one for name, one in response.get("error", {}).items()}
    if "metadata" in expected:
        expected["metadata"] = orjson.dumps(expected["metadata"]).decode()
    found = {name: without_gaps(row[name]) for name in expected}
    assert found == expected
    assert (row["source_file"], row["source_row"]) == ("a.csv", 1)


def without_gaps(value: Any) -> Any:
    """A value of Arrow as JSON has it: maps as objects, no null fields of structs."""
    if isinstance(value, list) and value and all(isinstance(one, tuple) for one in value):
        return dict(value)
    if isinstance(value, list):
        return [without_gaps(one) for one in value]
    if isinstance(value, dict):
        return {name: without_gaps(one) for name, one in value.items() if one is not None}
    return value


def test_nested_spans_are_lists_of_structs() -> None:
    schema = written("token-classification", []).schema

    entity = schema.field("entities").type.value_type
    assert pa.types.is_struct(entity)
    assert entity.field("start").type == pa.int64()
    assert entity.field("score").type == pa.float64()


def test_metadata_and_ids_are_as_they_were_written() -> None:
    answers = [
        b'{"id":12345678901234567890123,"status":"ok","metadata":{"price": 1.10, "n": 1e400}}',
        b'{"id":7,"status":"ok","metadata":null}',
    ]

    table = written("text-classification", answers)

    assert table["id"].to_pylist() == ["12345678901234567890123", "7"]
    assert table["metadata"].to_pylist() == ['{"price": 1.10, "n": 1e400}', "null"]


def test_columns_of_the_source_are_kept_and_answers_keep_their_names() -> None:
    answers = [b'{"id":"1","status":"ok","result":{"label":"good"}}', b'{"id":"2","status":"ok"}']

    table = written(
        "text-classification",
        answers,
        [{"id": "1", "film": "x", "label": 3}, {"label": None, "year": 1.5}],
    )

    assert table.column_names[:6] == [
        "id",
        "source_file",
        "source_row",
        "film",
        "source_label",
        "year",
    ]
    assert table["label"].to_pylist() == ["good", None]
    assert table["source_label"].to_pylist() == [3, None]
    assert table["year"].to_pylist() == [None, 1.5]


def test_times_stay_times() -> None:
    values = {
        "day": date(2026, 1, 2),
        "at": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=2))),
        "local": datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001 - as Parquet has them
        "price": Decimal("1.10"),
    }

    (row,) = written("translation", [b'{"id":"1","status":"ok"}'], [values]).to_pylist()

    assert {name: row[name] for name in values} == {**values, "price": "1.10"}


def test_infinities_and_what_is_no_number_stay_what_they_are() -> None:
    rows: list[dict[str, Any]] = [
        {"x": math.inf, "l": [-math.inf, 1.5]},
        {"x": -math.inf, "l": None},
        {"x": 1, "l": []},
        {"x": math.nan, "l": None},
    ]
    answers = [b'{"id":"%d","status":"ok"}' % number for number in range(1, 5)]

    table = written("translation", answers, rows)

    assert table.schema.field("x").type == pa.float64()
    assert table["x"].to_pylist()[:3] == [math.inf, -math.inf, 1.0]
    assert math.isnan(table["x"].to_pylist()[3])
    assert table["l"].to_pylist() == ['["-Infinity",1.5]', None, "[]", None]


def test_an_id_of_the_source_that_no_answer_has_is_kept() -> None:
    answers = [b'{"id":"1","status":"ok"}', b'{"id":"2","status":"ok"}']

    table = written("translation", answers, [{"id": "customer-7", "n": 1}, {"id": "2", "n": 2}])

    assert table["id"].to_pylist() == ["1", "2"]
    assert table["source_id"].to_pylist() == ["customer-7", "2"]


def test_row_groups_are_bounded_and_rows_stay_in_order() -> None:
    answers = [b'{"id":"%d","status":"ok"}' % number for number in range(70_000)]

    made, file = Parquet("translation"), io.BytesIO()
    with made.writing(file) as write:
        for answer in answers:
            write(answer, None)

    read = parquet.ParquetFile(pa.BufferReader(file.getvalue()))
    assert read.metadata.num_row_groups == 2
    assert read.read()["id"].to_pylist() == [str(number) for number in range(70_000)]
