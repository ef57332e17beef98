"""The folder of ensembles: lists them, and hands out only files that are what they should be."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from streamproc.errors import ModelRefused
from streamproc.repository.manifest import (
    GateSection,
    Manifest,
    MemberSection,
    PrefixSection,
    read_manifest,
)
from streamproc.repository.regular_files import read_regular
from streamproc.repository.signatures import TrustedKeys
from streamproc.repository.stages import StoredStage
from streamproc.repository.toml import MAX_TOML_BYTES
from streamproc.repository.verified import inside, verified
from streamproc.repository.version_order import numbers_by_size
from streamproc.repository.versioned_name import FIRST_VERSION, VersionedName, plain_name, versioned

MANIFEST = "manifest.toml"
# Beside the ensembles' folders: what several of them may share, each file named by its digest.
PREFIXES = "prefixes"


@dataclass(frozen=True, slots=True)
class StoredEnsemble:
    """An ensemble on disk, its manifest read.

    digest: sha256 of the manifest's bytes, which name every other file by digest
    version: of the ensemble, which its folder's name says
    """

    manifest: Manifest
    digest: str
    folder: Path
    version: str = FIRST_VERSION

    @property
    def name(self) -> str:
        """What it is called by in the folder of models: of version 1 the plain name."""
        is_first = self.version == FIRST_VERSION
        return versioned(self.manifest.name, None if is_first else self.version)

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
        path = self.prefix_path(section)
        return verified(path.parent, path.name, section.sha256)

    def prefix_path(self, section: PrefixSection) -> Path:
        """Where the layers that run before all members lie."""
        return self.folder.parent / PREFIXES / f"{section.sha256}.onnx"

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
            content = read_regular(self.folder / MANIFEST, MAX_TOML_BYTES)
        except (OSError, ModelRefused):
            return True
        return hashlib.sha256(content).hexdigest() != self.digest

    def _verified(self, name: str, sha256: str) -> bytes:
        return verified(self.folder, name, sha256)


class Repository:
    """`models/<ensemble>/manifest.toml` and what lies beside it; its versions are
    `models/<ensemble>@<version>/`."""

    def __init__(self, root: Path, trusted: TrustedKeys | None = None) -> None:
        """trusted: who has to have signed an ensemble for it to be opened; None: nobody"""
        self.root = root
        self._trusted = trusted

    @classmethod
    def trusting(cls, root: Path, key_file: Path | None) -> Self:
        """One whose ensembles a key of a PEM file has to have signed; None: whatever lies there.

        Raises SettingsError where the file can't be used.
        """
        return cls(root, TrustedKeys.read(key_file))

    def names(self) -> list[str]:
        """Names of the ensembles there are, sorted; raises ModelRefused without a folder."""
        return sorted({plain_name(folder) for folder in self._folders()})

    def versions(self, name: str) -> list[str]:
        """The versions of an ensemble, 2 before 10, those behind the one that is served by default.

        Raises ModelRefused where two folders are version 1.
        """
        read = [VersionedName.read(folder) for folder in self._folders()]
        own = [one for one in read if one is not None and one.name == name]
        versions = [one.version for one in own if one.version is not None]
        if VersionedName(name, None) in own:
            if FIRST_VERSION in versions:
                raise ModelRefused(
                    f"{self.root}: {name} and {name}@{FIRST_VERSION} are both version "
                    f"{FIRST_VERSION} of {name}; rename one of the folders"
                )
            return [FIRST_VERSION, *sorted(versions, key=numbers_by_size)]
        return sorted(versions, key=numbers_by_size)

    def all_versions(self) -> list[str]:
        """Every version of every ensemble by its name, of version 1 the plain one."""
        return [
            versioned(name, None if version == FIRST_VERSION else version)
            for name in self.names()
            for version in self.versions(name)
        ]

    def folder(self, name: str) -> Path:
        """Where a version lies, or would lie; without a version that of the plain name.

        Raises ModelRefused for what can be no name.
        """
        read = VersionedName.read(name)
        if read is None or read.name == PREFIXES:
            raise ModelRefused(f"{name!r} can't be the name of an ensemble")
        if read.version == FIRST_VERSION and not (self.root / name / MANIFEST).is_file():
            return self.root / read.name
        return self.root / name

    def open(self, name: str) -> StoredEnsemble:
        """The ensemble of that name, as `NAME@VERSION` that version; raises ModelRefused."""
        folder = self.folder(name)
        name, version = VersionedName.read(name) or (name, None)
        versions = self.versions(name) if self.root.is_dir() else []
        if version is None and versions:
            version = versions[0]
            folder = self.folder(f"{name}@{version}")
        path = folder / MANIFEST
        try:
            content = read_regular(inside(folder, MANIFEST), MAX_TOML_BYTES)
        except OSError:
            raise self._missing(name, version, versions) from None
        if self._trusted is not None:
            self._trusted.require_signed(folder, content)
        manifest = read_manifest(content, str(path))
        if manifest.name != name:
            raise ModelRefused(f"{path}: its name is {manifest.name!r}, its folder's {name!r}")
        digest = hashlib.sha256(content).hexdigest()
        return StoredEnsemble(manifest, digest, folder, version or FIRST_VERSION)

    def _missing(self, name: str, version: str | None, versions: list[str]) -> ModelRefused:
        if versions:
            return ModelRefused(
                f"no version {version!r} of ensemble {name!r} in {self.root}; there are: "
                f"{', '.join(versions)}"
            )
        there = ", ".join(self.names()) or "none"
        return ModelRefused(f"no ensemble {name!r} in {self.root}; there are: {there}")

    def _folders(self) -> list[str]:
        if not self.root.is_dir():
            raise ModelRefused(f"{self.root} is not a folder; set STREAMPROC_MODELS_DIR")
        folders = (path.parent.name for path in self.root.glob(f"*/{MANIFEST}"))
        # What begins with a dot is being written, or removed.
        return [folder for folder in folders if not folder.startswith(".")]


def digest_of_manifests(root: Path) -> str:
    """Changes when any ensemble of a models folder does."""
    found = hashlib.sha256()
    for path in sorted(root.glob(f"*/{MANIFEST}")):
        with suppress(OSError, ModelRefused):  # told when the ensemble is loaded
            found.update(read_regular(path, MAX_TOML_BYTES))
    return found.hexdigest()
