"""Avro values written as JSON for people, as values that are stored.

The branch of a union may be said, as tools print it (`{"string": "text"}`), or not; bytes are
characters of the same numbers; times, dates and decimals are what Avro stores for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastavro.validation import ValidationError, validate


def stored(value: Any, schema: Any, named: Mapping[str, Any]) -> Any:
    """A value as fastavro writes it by a schema that it parsed; what does not fit stays."""
    if isinstance(schema, list):
        return _of_union(value, schema, named)
    if isinstance(schema, str):
        schema = named.get(schema, {"type": schema})
    kind = schema["type"]
    if isinstance(value, str):
        return value.encode("latin-1") if kind in ("bytes", "fixed") else value
    if isinstance(value, list) and kind == "array":
        return [stored(one, schema["items"], named) for one in value]
    return _of_names(value, schema, named) if isinstance(value, dict) else value


def as_json(value: object) -> str:
    """What `json.dumps` can't write of a value that was read: bytes."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    raise TypeError(f"no JSON: {type(value).__name__}")


def _of_union(value: Any, branches: list[Any], named: Mapping[str, Any]) -> Any:
    if isinstance(value, dict) and len(value) == 1:
        ((said, inner),) = value.items()
        for branch in branches:
            if said == (branch if isinstance(branch, str) else branch.get("name", branch["type"])):
                return stored(inner, branch, named)
    others = [branch for branch in branches if branch != "null"]
    # Of several fastavro chooses the one that the value fits best.
    return stored(value, others[0], named) if len(others) == 1 and value is not None else value


def _of_names(value: dict[str, Any], schema: Any, named: Mapping[str, Any]) -> dict[str, Any]:
    if schema["type"] == "map":
        return {name: stored(one, schema["values"], named) for name, one in value.items()}
    fields = {str(field["name"]): field for field in schema.get("fields", ())}
    # A default is JSON as well, so that the one of bytes is characters.
    given = {name: field["default"] for name, field in fields.items() if "default" in field} | value
    return {
        name: stored(one, fields[name]["type"], named)
        for name, one in given.items()
        if name in fields
    }


def fault_of(value: Any, schema: Any) -> str | None:
    """Why a value as it is stored is not of a schema, in words of JSON and Avro; None: it is."""
    try:
        validate(value, schema, raise_errors=True)
    except ValidationError as error:
        found: dict[str, tuple[str, list[str]]] = {}
        for one in error.errors:
            field = (one.field or "").rpartition(".")[2] or "the event"
            is_integer = isinstance(one.datum, int) and not isinstance(one.datum, bool)
            out_of_range = is_integer and one.schema in ("int", "long")
            kind = "an integer out of range" if out_of_range else _kind(one.datum)
            found.setdefault(field, (kind, []))[1].append(_wanted(one.schema))
        return "; ".join(
            f"{field}: {kind}, not {' or '.join(dict.fromkeys(wanted))}"
            for field, (kind, wanted) in found.items()
        )
    return None


def _kind(value: object) -> str:
    if value is None:
        return "null or missing"
    kinds = {bool: "a boolean", str: "a string", bytes: "a string", list: "an array"}
    return kinds.get(type(value), "an object" if isinstance(value, dict) else "a number")


def _wanted(schema: Any) -> str:
    if not isinstance(schema, dict):
        return str(schema)
    if schema["type"] == "enum":
        return f"one of {', '.join(schema['symbols'])}"
    return f"{schema['type']} {schema.get('name', '')}".strip()
