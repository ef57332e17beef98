"""Writing a manifest anew, as `read_manifest` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamproc.repository.manifest import Manifest, MemberSection
from streamproc.toml import TomlValue, section


def manifest_toml(manifest: Manifest) -> str:
    """The manifest as TOML; what is as by default is left out, but for what a reader looks for."""
    values = manifest.model_dump(mode="json", exclude_defaults=True)
    values["combine"] = {"strategy": manifest.combine.strategy, **values.get("combine", {})}
    members = values.pop("members")
    in_order = [name for name in Manifest.model_fields if name in values]
    tables = {name: values[name] for name in in_order if isinstance(values[name], dict)}
    top = {name: value for name, value in values.items() if name not in tables}
    sections: list[tuple[str, Mapping[str, TomlValue]]] = [("", top)]
    sections += [(f"[{name}]", table) for name, table in tables.items()]
    for member, whole in zip(members, manifest.members, strict=True):
        sections += _member(member, whole.precision)
    return "\n".join(section(title, table) for title, table in sections)


def member_toml(member: MemberSection) -> str:
    """One member as TOML, to be put behind a manifest that has others."""
    values = member.model_dump(mode="json", exclude_defaults=True)
    return "\n".join(section(title, table) for title, table in _member(values, member.precision))


def _member(values: dict[str, Any], precision: str) -> list[tuple[str, Mapping[str, TomlValue]]]:
    told = {name: values.pop(name) for name in ("provenance", "metrics") if name in values}
    stages = values.pop("stages", [])
    written = {**values, "precision": precision}
    return [
        ("[[members]]", written),
        *(("[[members.stages]]", stage) for stage in stages),
        *((f"[members.{name}]", table) for name, table in told.items()),
    ]
