"""Where a row is from, beside its answer in the results."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from streamproc.messages.json_spans import on_one_line
from streamproc.offline.bulk.request_rows import RequestRow
from streamproc.offline.documents.row import values_as_json


@dataclass(frozen=True, slots=True)
class Origin:
    """The file and the row in it, and what else stands there.

    row:     None where the file is one document
    columns: the row's own columns, a JSON object, where they are kept
    """

    file: str
    row: int | None
    columns: bytes | None = None


def with_origin(answer: bytes, origin: Origin | None, *, source: bool) -> bytes:
    """An answer's JSON, on one line, with the row's columns, and with its source where asked."""
    if origin is None:
        return answer
    members = b""
    if source:
        members += b',"source":' + orjson.dumps({"file": origin.file, "row": origin.row})
    if origin.columns is not None:
        members += b',"columns":' + origin.columns
    # An answer has an id at least, and ends with its own brace.
    return answer[:-1] + members + b"}"


def origin_of(row: RequestRow, *, columns: bool) -> Origin:
    """Where a row is from; columns: with what it holds there, to the byte where that is JSON."""
    held = None
    if columns:
        held = on_one_line(row.written) if row.written else values_as_json(row.columns)
    return Origin(row.source.file, row.source.row, held)
