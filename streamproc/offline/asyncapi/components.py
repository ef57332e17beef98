"""What channels share: messages, and JSON Schemas, whose references are made to fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Json = dict[str, Any]
_DEFINED: Final = "#/$defs/"


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
        what stands under `$defs` becomes a schema of its own. References to elsewhere stay.
        """
        own = {key: one for key, one in schema.items() if key not in ("$schema", "$defs")}
        self.schemas[name] = _referring(own, name)
        for part, defined in schema.get("$defs", {}).items():
            self.schemas[f"{name}.{part}"] = _referring(defined, name)
        return ref("schemas", name)

    def message(self, name: str, message: Json) -> str:
        """The name of a message, which is added."""
        self.messages[name] = {"name": name, **message}
        return name


def _referring(node: Any, name: str) -> Any:
    if isinstance(node, list):
        return [_referring(one, name) for one in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _placed(one, name) if key == "$ref" and isinstance(one, str) else _referring(one, name)
        for key, one in node.items()
    }


def _placed(reference: str, name: str) -> str:
    """What a reference within the schema of that name is from the root of the document."""
    if reference.startswith(_DEFINED):
        return f"#/components/schemas/{name}.{reference.removeprefix(_DEFINED)}"
    if reference == "#" or reference.startswith("#/"):
        return f"#/components/schemas/{name}{reference[1:]}"
    return reference
