"""Batches of rows, whatever holds their columns: a dict of arrays or lists, Arrow, or pandas.

Arrow and pandas are not imported here before somebody hands a batch of theirs over.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from streamproc.errors import SettingsError
from streamproc.messages.response_types import AnswerType


def column_names(batch: Any) -> list[str]:
    """The columns of a batch; raises SettingsError where it is none."""
    if is_arrow(batch):
        return list(batch.schema.names)
    if isinstance(batch, Mapping) or is_frame(batch):
        return list(batch)
    raise SettingsError(
        "a batch is a dict of columns, a pyarrow Table or RecordBatch, or a pandas DataFrame; "
        f"found {type(batch).__module__}.{type(batch).__name__}"
    )


def column_values(batch: Any, name: str) -> list[Any]:
    """The values of one column; raises SettingsError where it is a single row's value."""
    column = batch.column(name) if is_arrow(batch) else batch[name]
    # A text has a length, too: its characters would be answered one by one.
    if isinstance(column, (str, bytes)) or not hasattr(column, "__len__"):
        raise SettingsError(
            f"column {name!r} holds one value and not those of many rows: hand batches over, as "
            "datasets does with map(..., batched=True)"
        )
    if hasattr(column, "to_pylist"):
        return list(column.to_pylist())
    return column.tolist() if hasattr(column, "tolist") else list(column)


def with_columns(
    batch: Any, columns: Mapping[str, tuple[AnswerType, Sequence[Any]]], like: str
) -> Any:
    """A batch of the same kind with columns added, after those it has.

    columns: type and values, by name
    like: the column of a dict that says whether others are arrays or lists
    """
    if is_frame(batch):
        return batch.assign(
            **{name: _array(kind, values) for name, (kind, values) in columns.items()}
        )
    if not is_arrow(batch):
        as_arrays = isinstance(batch[like], np.ndarray)
        added = {
            name: _array(kind, values) if as_arrays else list(values)
            for name, (kind, values) in columns.items()
        }
        return {**batch, **added}
    import pyarrow  # noqa: PLC0415 - an extra, which who hands a batch of it over has

    from streamproc.local.arrow_types import arrow_type  # noqa: PLC0415 - the extra

    names, arrays = list(batch.schema.names), list(batch.columns)
    fields = list(batch.schema)
    for name, (kind, values) in columns.items():
        names.append(name)
        arrays.append(pyarrow.array(values, arrow_type(kind)))
        fields.append(pyarrow.field(name, arrow_type(kind)))
    schema = pyarrow.schema(fields, metadata=batch.schema.metadata)
    return type(batch).from_arrays(arrays, schema=schema)


def is_arrow(batch: Any) -> bool:
    """Whether it is a table of Arrow."""
    arrow = sys.modules.get("pyarrow")
    return arrow is not None and isinstance(batch, (arrow.Table, arrow.RecordBatch))


def is_frame(batch: Any) -> bool:
    """Whether it is a DataFrame of pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(batch, pandas.DataFrame)


def _array(kind: AnswerType, values: Sequence[Any]) -> Any:
    if kind == "number":
        return np.array([np.nan if value is None else value for value in values], np.float64)
    if kind == "integer" and None not in values:
        return np.array(values, np.int64)
    # One by one: numpy would make a second dimension of lists that are equally long.
    array = np.empty(len(values), object)
    for place, value in enumerate(values):
        array[place] = value
    return array
