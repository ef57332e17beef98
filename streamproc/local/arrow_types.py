"""Types of answers as Arrow has them; importing it imports Arrow, which is an extra."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from streamproc.messages.response_types import AnswerType, ListOf, MapOf, RecordOf, Scalar

_SCALARS: Final[dict[Scalar, pa.DataType]] = {
    "string": pa.string(), "number": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_(),
}  # fmt: skip


def arrow_type(kind: AnswerType) -> pa.DataType:
    """The type of a column of such values."""
    if isinstance(kind, ListOf):
        return pa.list_(arrow_type(kind.items))
    if isinstance(kind, MapOf):
        return pa.map_(pa.string(), arrow_type(kind.values))
    if isinstance(kind, RecordOf):
        return pa.struct([(name, arrow_type(one)) for name, one in kind.fields.items()])
    return _SCALARS[kind]
