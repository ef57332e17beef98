"""Putting a member into the model repository: whole, tried out, or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from streamproc.errors import ModelRefused
from streamproc.messages.validation import in_json_words
from streamproc.repository.manifest import (
    DecoderFile,
    Manifest,
    MemberSection,
    Precision,
    read_manifest,
)
from streamproc.repository.repository import MANIFEST, StoredEnsemble
from streamproc.repository.writing import manifest_toml, member_toml

Verify = Callable[[Path, str], None]
"""Load an ensemble of a model repository as a worker does; raises ModelRefused."""


@dataclass(frozen=True, slots=True)
class NewMember:
    """A member that is ready to be placed.

    model, decoder: files' contents; decoder: an encoder-decoder's
    labels: the ensemble's label for each output; none where the task has no labels
    """

    name: str
    version: str
    model: bytes
    decoder: bytes | None
    precision: Precision
    labels: tuple[str, ...]
    provenance: Mapping[str, str]

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
                provenance=dict(self.provenance),
            )
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc']))}: {in_json_words(fault)}"
                for fault in error.errors(include_url=False)
            )
            raise ModelRefused(f"member {self.name}: {faults}") from None

    @property
    def files(self) -> dict[str, bytes]:
        """Contents by their place in the ensemble's folder."""
        folder = f"{self.name}/{self.version}"
        if self.decoder is None:
            return {f"{folder}/model.onnx": self.model}
        return {f"{folder}/encoder.onnx": self.model, f"{folder}/decoder.onnx": self.decoder}


def place(
    root: Path,
    ensemble: Manifest | StoredEnsemble,
    tokenizer: bytes,
    member: NewMember,
    verify: Verify,
) -> Path:
    """Write a member, and its ensemble where that is new; returns the manifest's path.

    ensemble: a new one's manifest, the member included; or one that is there
    All is put together and tried out beside the repository first. Files come before the manifest
    that names them, so that whoever reads meanwhile sees the old ensemble or the new one.
    Raises ModelRefused, and leaves everything as it was, where it would not load.
    """
    joined = isinstance(ensemble, StoredEnsemble)
    name = ensemble.manifest.name if isinstance(ensemble, StoredEnsemble) else ensemble.name
    folder = root / name
    with _beside(root) as staging:
        trial = staging / name
        if isinstance(ensemble, StoredEnsemble):
            shutil.copytree(folder, trial, copy_function=_linked)
            # Added at the end, so that what somebody wrote there, comments included, stays.
            before = (trial / MANIFEST).read_text(encoding="utf-8").rstrip()
            manifest = f"{before}\n\n{member_toml(member.section)}"
            (trial / MANIFEST).unlink()  # a link: what is written next must not reach the original
        else:
            trial.mkdir()
            (trial / "tokenizer.json").write_bytes(tokenizer)
            manifest = manifest_toml(ensemble)
        for place_in, content in member.files.items():
            path = trial / place_in
            if path.exists():
                raise ModelRefused(
                    f"{folder / place_in} is there already; name another --member or --version"
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        read_manifest(manifest.encode(), str(folder / MANIFEST))
        (trial / MANIFEST).write_text(manifest, encoding="utf-8")
        verify(staging, name)
        if joined:
            for place_in in member.files:
                (folder / place_in).parent.mkdir(parents=True, exist_ok=True)
                (trial / place_in).replace(folder / place_in)
            (trial / MANIFEST).replace(folder / MANIFEST)
        else:
            trial.replace(folder)
    return folder / MANIFEST


@contextmanager
def _beside(root: Path) -> Iterator[Path]:
    """A folder on the repository's disk, which no worker takes for an ensemble."""
    there = root.is_dir()
    root.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".import-", dir=root) as folder:
            yield Path(folder)
    finally:
        if not there and not any(root.iterdir()):
            root.rmdir()


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _decoder(place_in: str, content: bytes) -> DecoderFile:
    return DecoderFile(file=place_in, sha256=_sha256(content), size_bytes=len(content))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
