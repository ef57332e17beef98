"""An answer as columns of a table: what there is for each task, and of which types."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import orjson

from streamproc.errors import SettingsError
from streamproc.messages.client import ResponseBody
from streamproc.messages.response_types import (
    AnswerType,
    ListOf,
    MapOf,
    RecordOf,
    fields_of,
    response_fields,
)

RESPONSE_COLUMNS: Final = ("agreement", "entropy", "status", "response")
"""What can be kept of any response beside its result; `response` is all of it, in JSON."""

DEFAULT_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "text-classification": ("label", "score"),
    "token-classification": ("entities",),
    "question-answering": ("answer", "score", "start", "end"),
    "translation": ("translation_text",),
    "summarization": ("summary_text",),
    "text-generation": ("generated_text",),
}
"""What is kept of an answer unless something else is asked for."""

# Objects of a result with any names are lists in a column: what a name is called in one of these.
_NAMES: Final = {"scores": "label", "values": "name"}


def column_types(task: str, params: Mapping[str, Any]) -> dict[str, AnswerType]:
    """Every column that an answer of a task can be kept in."""
    types = fields_of(task, "result")
    if task == "token-classification":
        element = "token" if params.get("aggregation") == "none" else "entity"
        types["entities"] = ListOf(RecordOf(fields_of(task, element)))
    whole = response_fields(task) | {"response": "string"}
    types |= {name: whole[name] for name in RESPONSE_COLUMNS}
    return {name: _column_type(name, kind) for name, kind in types.items()}


def _column_type(name: str, kind: AnswerType) -> AnswerType:
    if not isinstance(kind, MapOf):
        return kind
    values = kind.values
    fields = values.fields if isinstance(values, RecordOf) else {"score": values}
    return ListOf(RecordOf({_NAMES[name]: "string", **fields}))


def column_value(name: str, response: ResponseBody) -> Any:
    """What a column holds of a response; None where there is nothing."""
    if name == "response":
        # Its id numbers the requests of one process.
        told = {field: value for field, value in response.items() if field != "id"}
        return orjson.dumps(told).decode()
    if name in RESPONSE_COLUMNS:
        return response.get(name)
    value = response.get("result", {}).get(name)
    if name in _NAMES and value is not None:
        return [
            {_NAMES[name]: of, **(one if isinstance(one, dict) else {"score": one})}
            for of, one in value.items()
        ]
    return value


def require_any(names: Collection[str], response: ResponseBody) -> None:
    """Raises SettingsError where an answer has nothing of what is kept: no row is at fault."""
    result = response.get("result")
    if result is not None and not any(name in result or name in RESPONSE_COLUMNS for name in names):
        raise SettingsError(
            f"keep: ensemble {response['ensemble']} gives no {' and no '.join(names)}; it gives: "
            f"{', '.join(result)}"
        )
