"""What channels share: messages, and JSON Schemas, whose references are made to fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]


def ref(kind: str, name: str) -> dict[str, str]:
    """A reference to a component. kind: schemas, messages"""
    return {"$ref": f"#/components/{kind}/{name}"}


class Components:
    """Messages and schemas, each defined once."""

    def __init__(self) -> None:
        self.schemas: dict[str, Any] = {}
        self.messages: dict[str, Any] = {}

    def schema(self, name: str, schema: Mapping[str, Any]) -> dict[str, str]:
        """A reference to a JSON Schema, which is added with what it defines.

        AsyncAPI's own form of schemas is draft 7 with references from the root of the document, so
        what stands under `$defs` becomes a schema of its own.
        """
        parts = {
            f"#/$defs/{part}": f"{name}.{part}" for part in schema.get("$defs", {})
        }  # what a reference says, and what the schema is called here
        own = {key: one for key, one in schema.items() if key not in ("$schema", "$defs")}
        self.schemas[name] = _referring(own, parts)
        for part, defined in schema.get("$defs", {}).items():
            self.schemas[f"{name}.{part}"] = _referring(defined, parts)
        return ref("schemas", name)

    def message(self, name: str, message: Json) -> str:
        """The name of a message, which is added."""
        self.messages[name] = {"name": name, **message}
        return name


def _referring(node: Any, names: Mapping[str, str]) -> Any:
    if isinstance(node, list):
        return [_referring(one, names) for one in node]
    if not isinstance(node, dict):
        return node
    return {
        key: f"#/components/schemas/{names[one]}" if key == "$ref" else _referring(one, names)
        for key, one in node.items()
    }
