"""Types of answers as Avro writes them."""

from __future__ import annotations

from typing import Any, Final

from streamproc.messages.response_types import AnswerType, ListOf, MapOf, RecordOf, Scalar

NAMESPACE: Final = "streamproc"
_SCALARS: Final[dict[Scalar, str]] = {
    "string": "string", "number": "double", "integer": "long", "boolean": "boolean",
}  # fmt: skip


def optional_field(name: str, one: AnswerType, within: str = NAMESPACE) -> dict[str, Any]:
    """A field of a record that may be null, and is where nothing is said.

    within: what the names of its own records begin with; the place alone makes them, so that two
    routes that put the same answers in agree on them
    """
    return {"name": name, "type": ["null", _avro(one, within, name)], "default": None}


def _avro(one: AnswerType, within: str, name: str) -> Any:
    if isinstance(one, ListOf):
        return {"type": "array", "items": _avro(one.items, f"{within}.{name}", "item")}
    if isinstance(one, MapOf):
        return {"type": "map", "values": ["null", _avro(one.values, f"{within}.{name}", "value")]}
    if isinstance(one, RecordOf):
        inside = f"{within}.{name}"
        fields = [optional_field(inner, type_, inside) for inner, type_ in one.fields.items()]
        return {"type": "record", "name": name, "namespace": within, "fields": fields}
    return _SCALARS[one]
