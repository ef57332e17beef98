"""The columns of a source as columns of Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime

import pytest

from streamproc.offline.bulk.kept_columns import ColumnType, KeptColumns, as_type, column_values


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


def test_what_has_no_type_in_common_is_text_strings_as_they_are_and_all_else_as_json() -> None:
    written = b'{"a": 12345678901234567890123, "b": "as it is", "c": [1.5, null], "d": null}'
    values = column_values(written)

    texts = {name: as_type(value, "text") for name, value in values.items()}

    assert texts == {
        "a": "12345678901234567890123",
        "b": "as it is",
        "c": "[1.5,null]",
        "d": None,
    }


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
