"""Writing a manifest anew, as `read_manifest` reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from streamproc.repository.files import sha256
from streamproc.repository.manifest import DecoderFile, Manifest, MemberSection, TokenizerFile
from streamproc.repository.toml import to_toml


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
    values["members"] = [_values(member) for member in manifest.members]
    return to_toml({name: values[name] for name in Manifest.model_fields if name in values})


def member_toml(member: MemberSection) -> str:
    """One member as TOML, to be put behind a manifest that has others."""
    return to_toml({"members": [_values(member)]})


def _values(member: MemberSection) -> dict[str, Any]:
    values = member.model_dump(mode="json", exclude_defaults=True)
    return {**values, "precision": member.precision}


def _place(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix()
