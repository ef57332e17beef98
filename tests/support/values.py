"""Values at and beside the bounds of a JSON schema, for requests that are right or nearly so."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

ANY: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(-3, 10**9) | st.text(max_size=4) | st.just([])
)
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


def fields_near(*objects: dict[str, Any]) -> dict[str, st.SearchStrategy[Any]]:
    """For each property of schemas of an object, values that one of them takes or nearly takes."""
    found: dict[str, st.SearchStrategy[Any]] = {}
    for schema in objects:
        for name, described in schema.get("properties", {}).items():
            near = _near(described, schema.get("$defs", {}))
            found[name] = found[name] | near if name in found else near
    return found


def _near(schema: dict[str, Any], definitions: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        return _near(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    near = [_near(choice, definitions) for choice in schema.get("anyOf", ())]
    if "enum" in schema or "const" in schema:
        near.append(st.sampled_from(schema.get("enum", [schema.get("const")])))
    bounds = [schema[name] for name in _BOUNDS if name in schema]
    if bounds:
        near.append(st.sampled_from([bound + step for bound in bounds for step in (-1, 0, 0.5, 1)]))
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "null" in kinds:
        near.append(st.none())
    if "boolean" in kinds:
        near.append(st.booleans())
    if "string" in kinds:
        lengths = [schema[name] for name in ("minLength", "maxLength") if name in schema]
        near.append(st.text(max_size=8))
        near += [st.just("a" * (length + 1)) | st.just("a" * length) for length in lengths]
    if "array" in kinds:
        items = _near(schema.get("items", {}), definitions)
        near.append(st.lists(items, max_size=4))
        longest = schema.get("maxItems")
        if longest is not None and longest <= 1000:
            near += [st.just(["a"] * length) for length in (longest, longest + 1)]
    return st.one_of(near) if near else ANY
