"""Putting a member into the model repository: whole, tried out, or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from streamproc.errors import ModelRefused
from streamproc.repository.changes import (
    Verify,
    beside,
    manifest_text,
    replace_manifest,
    require_unchanged,
    trial_copy,
    try_manifest,
)
from streamproc.repository.manifest import DecoderFile, Manifest, MemberSection, Precision
from streamproc.repository.repository import MANIFEST, StoredEnsemble
from streamproc.repository.rewriting import with_member
from streamproc.repository.section import describe_faults
from streamproc.repository.versions import keep_version
from streamproc.repository.writing import manifest_toml, member_toml


@dataclass(frozen=True, slots=True)
class NewMember:
    """A member that is ready to be placed.

    model, decoder: files' contents; decoder: an encoder-decoder's
    labels: the ensemble's label for each output; none where the task has no labels
    weight: its say in the ensemble
    """

    name: str
    version: str
    model: bytes
    decoder: bytes | None
    precision: Precision
    labels: tuple[str, ...]
    provenance: Mapping[str, str]
    weight: float = 1.0

    @property
    def section(self) -> MemberSection:
        """What a manifest says of it; raises ModelRefused where the version can't be one."""
        (first, content), *rest = self.files.items()
        try:
            return MemberSection(
                name=self.name,
                version=self.version,
                file=first,
                sha256=_sha256(content),
                size_bytes=len(content),
                decoder=_decoder(*rest[0]) if rest else None,
                precision=self.precision,
                labels=self.labels,
                weight=self.weight,
                provenance=dict(self.provenance),
            )
        except ValidationError as error:
            faults = describe_faults(error, MemberSection)
            raise ModelRefused(f"member {self.name}: {faults}") from None

    @property
    def files(self) -> dict[str, bytes]:
        """Contents by their place in the ensemble's folder."""
        folder = f"{self.name}/{self.version}"
        if self.decoder is None:
            return {f"{folder}/model.onnx": self.model}
        return {f"{folder}/encoder.onnx": self.model, f"{folder}/decoder.onnx": self.decoder}


def place_new(
    root: Path, ensemble: Manifest, tokenizer: bytes, member: NewMember, verify: Verify
) -> Path:
    """Write an ensemble of that one member; returns the manifest's path.

    All is put together and tried out beside the repository first. Raises ModelRefused, and leaves
    everything as it was, where it would not load.
    """
    folder = root / ensemble.name
    with beside(root) as staging:
        trial = staging / ensemble.name
        trial.mkdir()
        (trial / "tokenizer.json").write_bytes(tokenizer)
        _write(trial, member)
        try_manifest(trial, manifest_toml(ensemble), verify)
        trial.replace(folder)
    return folder / MANIFEST


def place_beside(
    stored: StoredEnsemble, member: NewMember, verify: Verify, *, use: bool = True
) -> Path:
    """Let a member join an ensemble, or another version of it lie beside the one there is.

    use: whether the manifest is to name this version; only one that there is can be left in use
    returns: the manifest's path
    All is put together and tried out beside the repository first. The version's folder is there
    before the manifest names it, so that whoever reads meanwhile sees the old ensemble or the new
    one. Raises ModelRefused, and leaves everything as it was, where it would not load.
    """
    text = manifest_text(stored)
    before = [one for one in stored.manifest.members if one.name == member.name]
    if before:
        changed = with_member(text, member.name, member.section)
    else:
        # Added at the end, so that what somebody wrote there, comments included, stays.
        changed = f"{text.rstrip()}\n\n{member_toml(member.section)}"
    with trial_copy(stored) as trial:
        _write(trial, member)
        try_manifest(trial, changed, verify)
        require_unchanged(stored)
        version = Path(member.name, member.version)
        if (stored.folder / version).exists():
            raise ModelRefused(
                f"{stored.folder / version} is there already; name another --member or --version"
            )
        (stored.folder / version).parent.mkdir(exist_ok=True)
        (trial / version).replace(stored.folder / version)
    if use:
        for replaced in before:
            keep_version(stored.folder, replaced)
        replace_manifest(stored, changed)
    return stored.folder / MANIFEST


def _write(folder: Path, member: NewMember) -> None:
    for place_in, content in member.files.items():
        path = folder / place_in
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.unlink()  # a link: what is written next must not reach the original
        path.write_bytes(content)
    keep_version(folder, member.section)


def _decoder(place_in: str, content: bytes) -> DecoderFile:
    return DecoderFile(file=place_in, sha256=_sha256(content), size_bytes=len(content))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
