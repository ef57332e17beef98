"""The columns of a source as columns of Parquet."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from streamproc.offline.bulk.kept_columns import ColumnType, KeptColumns
from streamproc.offline.bulk.origin import origin_of
from streamproc.offline.bulk.request_rows import request_rows
from streamproc.offline.documents.file import open_data_file
from streamproc.serving.tasks.catalogue import task_named


def noted(*rows: Mapping[str, object]) -> KeptColumns:
    columns = KeptColumns()
    for row in rows:
        columns.note(row)
    return columns


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([None, None], "null"),
        ([True, None], "bool"),
        ([1, None, -7], "int"),
        ([1, 2**60], "long"),
        ([1, 2**63], "text"),
        ([1, 1.5], "double"),
        ([2**60, 1.5], "text"),
        ([True, 1], "text"),
        ([1, "one"], "text"),
        ([[1, 2], {"a": 1}], "text"),
        ([None, "a"], "text"),
        ([datetime(2026, 1, 2), None], "time"),  # noqa: DTZ001 - as Parquet has them
        ([datetime(2026, 1, 2, tzinfo=UTC)], "instant"),
        ([datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 2)], "text"),  # noqa: DTZ001
        ([date(2026, 1, 2), None], "date"),
        ([date(2026, 1, 2), "2026"], "text"),
    ],
)
def test_a_column_has_the_type_that_takes_all_its_values_as_they_are(
    values: list[object], kind: ColumnType
) -> None:
    assert noted(*({"a": value} for value in values)).types == {"a": kind}
    assert noted(*({"a": value} for value in reversed(values))).types == {"a": kind}


def test_what_has_no_type_in_common_is_text_strings_as_they_are_and_all_else_as_it_is_written() -> (
    None
):
    written = (
        b'{"a": 12345678901234567890123, "b": "as \\u00eft is", "c": [1.50, null], "d": null,'
        b' "\\u0065": {"a": "],}\\"", "b": [{"c": 12345678901234567.89}]} , "f" : -0.0 }'
    )
    columns = KeptColumns(dict.fromkeys("abcdef", "text"))

    assert columns.values(written) == {
        "a": "12345678901234567890123",
        "b": "as ït is",
        "c": "[1.50, null]",
        "d": None,
        "e": '{"a": "],}\\"", "b": [{"c": 12345678901234567.89}]}',
        "f": "-0.0",
    }


@pytest.mark.parametrize("depth", [300, 1_000, 1_020])
def test_a_value_is_kept_however_deep_it_is_nested(depth: int) -> None:
    nested = "[" * depth + "]" * depth
    (row,) = noted_rows(b'{"a": %b, "b": 1}' % nested.encode())

    assert row == {"a": nested, "b": 1}


def test_a_number_that_python_cannot_hold_is_kept_as_it_is_written() -> None:
    digits = "9" * 5_000

    one, other = noted_rows(
        b'{"metadata": -1e400, "b": 1.5}',
        b'{"metadata": {"n": %b, "m": 1.10}, "b": 2}' % digits.encode(),
    )

    assert one == {"metadata": "-1e400", "b": 1.5}
    assert other == {"metadata": f'{{"n": {digits}, "m": 1.10}}', "b": 2.0}


def noted_rows(*lines: bytes) -> list[dict[str, object]]:
    """Rows of JSON Lines, as columns of the types that take them all have them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_bytes(b"\n".join(lines))
        with open_data_file(path) as file:
            task = task_named("text-classification")
            rows = list(request_rows(file, task, lambda _: None))
    columns = KeptColumns()
    for row in rows:
        columns.note(row.columns, row.id)
    held = [origin_of(row, columns=True).columns or b"" for row in rows]
    assert held == [*lines]
    return [columns.values(one) for one in held]


def test_a_column_that_answers_have_too_is_called_otherwise() -> None:
    columns = noted({"label": 1, "film": "x", "source_label": 2, "source_source_label": 3})

    assert columns.names({"label", "source_file"}) == {
        "label": "source_source_source_label",
        "film": "film",
        "source_label": "source_label",
        "source_source_label": "source_source_label",
    }


def test_rows_that_all_have_other_columns_are_kept_as_json() -> None:
    columns = noted(*({f"column {number}": number} for number in range(1_001)), {"last": 1})

    assert columns.too_many
    assert columns.types == {}


@pytest.mark.parametrize(
    ("own", "answered", "kept"),
    [
        ("a", "a", False),
        (7, 7, False),
        (7, "7", False),
        (7.0, 7, False),
        (None, "1", False),
        ("", "1", False),
        ("customer-7", "T1", True),
        ([1], "1", True),
        (True, "1", True),
        (1.5, "1", True),
    ],
)
def test_an_id_of_the_source_is_left_out_only_where_the_answers_say_it(
    own: object, answered: str | int, *, kept: bool
) -> None:
    columns = KeptColumns()
    columns.note({"id": None}, "0")
    columns.note({"id": own}, answered)

    assert columns.names({"id", "label"}) == ({"id": "source_id"} if kept else {})
