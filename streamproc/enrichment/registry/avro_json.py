"""Avro values written as JSON for people, as values that are stored.

The branch of a union may be said, as tools print it (`{"string": "text"}`), or not; bytes are
characters of the same numbers; times, dates and decimals are what Avro stores for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


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
    types = {str(field["name"]): field["type"] for field in schema.get("fields", ())}
    return {name: stored(one, types[name], named) for name, one in value.items() if name in types}
