"""An answer as columns of a table: what there is for each task, and of which types.

The types are named as Arrow names them, without Arrow, which who has none does not need.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from streamproc.messages.client import ResponseBody

ColumnType = str | dict[str, str]
"""`string`, `double`, `int64`; a dict is a list of structs with these fields."""

_PLACE: Final = {"start": "int64", "end": "int64"}
_ENTITY: Final = {"entity_group": "string", "score": "double", "word": "string", **_PLACE}
_TOKEN: Final = {
    "entity": "string",
    "score": "double",
    "index": "int64",
    "word": "string",
    **_PLACE,
}

RESULT_COLUMNS: Final[Mapping[str, Mapping[str, ColumnType]]] = {
    "text-classification": {
        "label": "string",
        "score": "double",
        "scores": {"label": "string", "score": "double"},
        "labels": {"label": "string"},
        "value": "double",
        "spread": "double",
        "values": {"name": "string", "value": "double", "spread": "double"},
    },
    "token-classification": {"entities": _ENTITY},
    "question-answering": {
        "answer": "string",
        "score": "double",
        **_PLACE,
        "answers": {"answer": "string", "score": "double", **_PLACE},
    },
    "translation": {"translation_text": "string", "finish_reason": "string", "unfinished": _PLACE},
    "summarization": {
        "summary_text": "string",
        "finish_reason": "string",
        "chunks": {**_PLACE, "finish_reason": "string"},
    },
    "text-generation": {
        "generated_text": "string",
        "finish_reason": "string",
        "next_tokens": {"token": "string", "probability": "double"},
    },
}
"""What `result` holds, by task: as in a response, but that `scores` is a list, likeliest first, and
so are `labels` and `values`."""

RESPONSE_COLUMNS: Final[Mapping[str, ColumnType]] = {
    "agreement": "double",
    "entropy": "double",
    "status": "string",
    "response": "string",
}
"""What can be kept of any response; `response` is all of it, in JSON."""

DEFAULT_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "text-classification": ("label", "score"),
    "token-classification": ("entities",),
    "question-answering": ("answer", "score", "start", "end"),
    "translation": ("translation_text",),
    "summarization": ("summary_text",),
    "text-generation": ("generated_text",),
}
"""What is kept of an answer unless something else is asked for."""


def column_types(task: str, params: Mapping[str, Any]) -> dict[str, ColumnType]:
    """Every column that an answer of a task can be kept in."""
    types = {**RESULT_COLUMNS[task], **RESPONSE_COLUMNS}
    if task == "token-classification" and params.get("aggregation") == "none":
        types["entities"] = _TOKEN
    return types


def column_value(name: str, response: ResponseBody) -> Any:
    """What a column holds of a response; None where there is nothing."""
    if name == "response":
        # Its id numbers the requests of one process.
        told = {field: value for field, value in response.items() if field != "id"}
        return orjson.dumps(told).decode()
    if name in RESPONSE_COLUMNS:
        return response.get(name)
    value = response.get("result", {}).get(name)
    if name == "scores" and value is not None:
        return [{"label": label, "score": score} for label, score in value.items()]
    if name == "labels" and value is not None:
        return [{"label": label} for label in value]
    if name == "values" and value is not None:
        return [{"name": of, **number} for of, number in value.items()]
    return value
