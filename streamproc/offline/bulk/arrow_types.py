"""A JSON Schema as Arrow types, so that Parquet has the columns of the message contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

Schema = Mapping[str, Any]


def arrow_type(schema: Schema, definitions: Schema) -> pa.DataType:
    """The Arrow type of what a schema describes; of what may be anything, a string, of JSON.

    definitions: what `#/$defs/…` refers to
    """
    schema = _resolved(schema, definitions)
    kind = schema.get("type")
    if kind == "object" and "properties" not in schema:
        return pa.map_(pa.string(), arrow_type(schema["additionalProperties"], definitions))
    if kind == "object" or "anyOf" in schema:
        return pa.struct(list(_fields(schema, definitions).items()))
    if kind == "array":
        return pa.list_(arrow_type(schema["items"], definitions))
    scalars = {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}
    return scalars.get(str(kind), pa.string())


def properties(schema: Schema, definitions: Schema) -> dict[str, Schema]:
    """What an object may have, by name; of several kinds of object, all that any of them has."""
    schema = _resolved(schema, definitions)
    found: dict[str, Schema] = {}
    for one in _alternatives(schema, definitions):
        for name, value in one.get("properties", {}).items():
            found.setdefault(name, value)
    return found


def is_json(schema: Schema, definitions: Schema) -> bool:
    """Whether it may be anything, which is kept as JSON."""
    schema = _resolved(schema, definitions)
    return not {"type", "const", "enum", "anyOf"} & schema.keys()


def _fields(schema: Schema, definitions: Schema) -> dict[str, pa.DataType]:
    return {
        name: arrow_type(value, definitions)
        for name, value in properties(schema, definitions).items()
    }


def _alternatives(schema: Schema, definitions: Schema) -> Iterator[Schema]:
    yield schema
    for one in schema.get("anyOf", ()):
        yield _resolved(one, definitions)


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    while "$ref" in schema:
        schema = definitions[schema["$ref"].removeprefix("#/$defs/")]
    return schema
