"""What of an Avro schema decides how its events can be read safely."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class AvroShape:
    """Found by a visit of a schema as fastavro parsed it.

    is_recursive: whether records lie in records of their own kind
    has_lists_of_nothing: whether there are arrays whose elements may take no byte
    """

    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named
        self._visited: dict[str, bool] = {}
        self.is_recursive = False
        self.has_lists_of_nothing = False

    def visit(self, schema: Any, within: tuple[str, ...]) -> bool:
        """Whether a value may take no byte. within: the names of the records around it."""
        if isinstance(schema, list):
            for branch in schema:
                self.visit(branch, within)
            return False
        if isinstance(schema, dict):
            return self._visit_type(schema, within)
        named = self._named.get(schema)
        return bool(schema == "null") if named is None else self.visit(named, within)

    def _visit_type(self, schema: dict[str, Any], within: tuple[str, ...]) -> bool:
        kind = schema["type"]
        if kind in ("record", "error"):
            return self._visit_record(schema, within)
        if kind == "array":
            self.has_lists_of_nothing |= self.visit(schema["items"], within)
            return False
        if kind == "map":
            self.visit(schema["values"], within)
            return False
        if kind == "fixed":
            return bool(schema["size"] == 0)
        return kind != "enum" and self.visit(kind, within)

    def _visit_record(self, schema: Any, within: tuple[str, ...]) -> bool:
        name = schema["name"]
        if name in within:
            self.is_recursive = True
            return False
        if name not in self._visited:
            inside = (*within, name)
            each = [self.visit(field["type"], inside) for field in schema["fields"]]
            self._visited[name] = all(each)
        return self._visited[name]


def without_logical_types(schema: Any) -> Any:
    """A schema that reads values as they are stored, also those that Python has no value for."""
    if isinstance(schema, list):
        return [without_logical_types(one) for one in schema]
    if isinstance(schema, dict):
        return {
            name: without_logical_types(value)
            for name, value in schema.items()
            if name != "logicalType"
        }
    return schema
