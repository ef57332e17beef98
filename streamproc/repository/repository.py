"""The folder of ensembles: lists them, and hands out only files that are what they should be."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from streamproc.errors import ModelRefused
from streamproc.messages.request import ENSEMBLE_NAME
from streamproc.repository.manifest import (
    GateSection,
    Manifest,
    MemberSection,
    PrefixSection,
    read_manifest,
)
from streamproc.repository.stages import StoredStage
from streamproc.repository.verified import verified

MANIFEST = "manifest.toml"
# Beside the ensembles' folders: what several of them may share, each file named by its digest.
PREFIXES = "prefixes"


@dataclass(frozen=True, slots=True)
class StoredEnsemble:
    """An ensemble on disk, its manifest read.

    digest: sha256 of the manifest's bytes, which name every other file by digest
    """

    manifest: Manifest
    digest: str
    folder: Path

    def tokenizer(self) -> bytes:
        """The tokenizer's bytes, verified; raises ModelRefused."""
        return self._verified(self.manifest.tokenizer.file, self.manifest.tokenizer.sha256)

    def model(self, member: MemberSection) -> bytes:
        """A whole member's model, verified; raises ModelRefused.

        Bytes, not a path: what was verified is what is loaded, whatever happens to the file.
        """
        if member.file is None or member.sha256 is None:
            raise ModelRefused(
                f"member {member.name} is split into stages; it is not a single file"
            )
        return self._verified(member.file, member.sha256)

    def stages(self, member: MemberSection) -> tuple[StoredStage, ...]:
        """What a member's model is cut into, in order; none where it is whole."""
        return tuple(StoredStage(self.folder, stage) for stage in member.stages)

    def decoder(self, member: MemberSection) -> bytes:
        """An encoder-decoder member's decoder, verified; raises ModelRefused."""
        if member.decoder is None:
            raise ModelRefused(
                f"member {member.name}: the manifest names no decoder beside {member.file}"
            )
        return self._verified(member.decoder.file, member.decoder.sha256)

    def gate(self, section: GateSection) -> bytes:
        """The gate's table, verified; raises ModelRefused."""
        return self._verified(section.file, section.sha256)

    def prefix(self, section: PrefixSection) -> bytes:
        """The layers that run before all members, verified; raises ModelRefused."""
        shared = self.folder.parent / PREFIXES
        return verified(shared, f"{section.sha256}.onnx", section.sha256)

    def verify(self) -> None:
        """Compare every file with its digest; raises ModelRefused naming the first that differs."""
        self.tokenizer()
        for member in self.manifest.members:
            if member.file is not None:
                self.model(member)
            if member.decoder is not None:
                self.decoder(member)
            for stage in self.stages(member):
                stage.files()
        if self.manifest.gate is not None:
            self.gate(self.manifest.gate)
        if self.manifest.prefix is not None:
            self.prefix(self.manifest.prefix)

    def changed(self) -> bool:
        """Whether the manifest on disk is no longer the one that was read."""
        try:
            content = (self.folder / MANIFEST).read_bytes()
        except OSError:
            return True
        return hashlib.sha256(content).hexdigest() != self.digest

    def _verified(self, name: str, sha256: str) -> bytes:
        return verified(self.folder, name, sha256)


class Repository:
    """`models/<ensemble>/manifest.toml` and what lies beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> list[str]:
        """Names of the ensembles there are, sorted; raises ModelRefused without a folder."""
        if not self.root.is_dir():
            raise ModelRefused(f"{self.root} is not a folder; set STREAMPROC_MODELS_DIR")
        return sorted(path.parent.name for path in self.root.glob(f"*/{MANIFEST}"))

    def open(self, name: str) -> StoredEnsemble:
        """The ensemble of that name; raises ModelRefused."""
        if not re.match(ENSEMBLE_NAME, name):
            raise ModelRefused(f"{name!r} can't be the name of an ensemble")
        path = self.root / name / MANIFEST
        try:
            content = path.read_bytes()
        except OSError:
            there = ", ".join(self.names()) or "none"
            raise ModelRefused(f"no ensemble {name!r} in {self.root}; there are: {there}") from None
        manifest = read_manifest(content, str(path))
        if manifest.name != name:
            raise ModelRefused(f"{path}: its name is {manifest.name!r}, its folder's {name!r}")
        return StoredEnsemble(manifest, hashlib.sha256(content).hexdigest(), self.root / name)


def digest_of_manifests(root: Path) -> str:
    """Changes when any ensemble of a models folder does."""
    found = hashlib.sha256()
    for path in sorted(root.glob(f"*/{MANIFEST}")):
        with suppress(OSError):  # told when the ensemble is loaded
            found.update(path.read_bytes())
    return found.hexdigest()
