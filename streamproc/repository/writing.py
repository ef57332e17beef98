"""Writing a manifest anew, as `read_manifest` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamproc.repository.digests import sha256
from streamproc.repository.manifest import DecoderFile, Manifest, MemberSection, TokenizerFile
from streamproc.repository.toml import TomlValue, section


def tokenizer_section(folder: Path, file: Path) -> TokenizerFile:
    """What a manifest in `folder` says of the tokenizer in `file`."""
    return TokenizerFile(file=_place(folder, file), sha256=sha256(file))


def member_section(
    folder: Path, name: str, version: str, file: Path, decoder: Path | None = None, **told: Any
) -> MemberSection:
    """What a manifest in `folder` says of a member that is whole.

    file:    its ONNX file; of an encoder-decoder the encoder
    decoder: the other file of an encoder-decoder
    told:    further fields of the section
    """
    other = None
    if decoder:
        other = DecoderFile(
            file=_place(folder, decoder), sha256=sha256(decoder), size_bytes=decoder.stat().st_size
        )
    return MemberSection(
        name=name,
        version=version,
        file=_place(folder, file),
        sha256=sha256(file),
        size_bytes=file.stat().st_size,
        decoder=other,
        **told,
    )


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


def _place(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix()
