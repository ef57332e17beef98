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
from typing import Any

from streamproc.errors import ModelRefused
from streamproc.repository.manifest import DecodingSection, Precision, read_manifest
from streamproc.repository.repository import MANIFEST, StoredEnsemble
from streamproc.toml import TomlValue, section

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
    def files(self) -> dict[str, bytes]:
        """Contents by their place in the ensemble's folder."""
        folder = f"{self.name}/{self.version}"
        if self.decoder is None:
            return {f"{folder}/model.onnx": self.model}
        return {f"{folder}/encoder.onnx": self.model, f"{folder}/decoder.onnx": self.decoder}


@dataclass(frozen=True, slots=True)
class NewEnsemble:
    """What a manifest says beside its members; decoding: where the task is to write text."""

    name: str
    task: str
    tokenizer: bytes
    labels: tuple[str, ...]
    window_tokens: int
    overlap_tokens: int
    decoding: DecodingSection | None = None
    description: str = ""
    licence: str = ""


def place(
    root: Path, ensemble: NewEnsemble | StoredEnsemble, member: NewMember, verify: Verify
) -> Path:
    """Write a member, and its ensemble where that is new; returns the manifest's path.

    All is put together and tried out beside the repository first. Files come before the manifest
    that names them, so that whoever reads meanwhile sees the old ensemble or the new one.
    Raises ModelRefused, and leaves everything as it was, where it would not load.
    """
    stored = ensemble if isinstance(ensemble, StoredEnsemble) else None
    name = stored.manifest.name if stored else ensemble.name  # type: ignore[union-attr]
    folder = root / name
    with _beside(root) as staging:
        trial = staging / name
        if stored:
            shutil.copytree(stored.folder, trial, copy_function=_linked)
            before = (trial / MANIFEST).read_text(encoding="utf-8").rstrip() + "\n\n"
            (trial / MANIFEST).unlink()  # a link: what is written next must not reach the original
        else:
            assert isinstance(ensemble, NewEnsemble)  # noqa: S101
            trial.mkdir()
            (trial / "tokenizer.json").write_bytes(ensemble.tokenizer)
            before = _manifest(ensemble) + "\n"
        for place_in, content in member.files.items():
            path = trial / place_in
            if path.exists():
                raise ModelRefused(
                    f"{folder / place_in} is there already; name another --member or --version"
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        manifest = before + _member(member)
        read_manifest(manifest.encode(), str(folder / MANIFEST))
        (trial / MANIFEST).write_text(manifest, encoding="utf-8")
        verify(staging, name)
        if stored:
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


def _manifest(ensemble: NewEnsemble) -> str:
    about: dict[str, TomlValue] = {
        "format": 1,
        "name": ensemble.name,
        "task": ensemble.task,
        "description": ensemble.description,
        "licence": ensemble.licence,
    }
    if ensemble.labels:
        about["labels"] = ensemble.labels
    window: dict[str, TomlValue] = {
        "max_tokens": ensemble.window_tokens,
        "overlap_tokens": ensemble.overlap_tokens,
    }
    sections: list[tuple[str, Mapping[str, TomlValue]]] = [
        ("", about),
        ("[tokenizer]", {"file": "tokenizer.json", "sha256": _sha256(ensemble.tokenizer)}),
        ("[window]", window),
    ]
    if ensemble.decoding:
        decoding: dict[str, Any] = ensemble.decoding.model_dump(mode="json", exclude_none=True)
        sections.append(("[decoding]", decoding))
    return "\n".join(section(title, values) for title, values in sections)


def _member(member: NewMember) -> str:
    (first, content), *rest = member.files.items()
    entry: dict[str, TomlValue] = {
        "name": member.name,
        "version": member.version,
        **_file(first, content),
        "precision": member.precision,
    }
    if rest:
        entry["decoder"] = _file(*rest[0])
    if member.labels:
        entry["labels"] = member.labels
    parts = [section("[[members]]", entry)]
    parts.append(section("[members.provenance]", member.provenance))
    return "\n".join(parts)


def _file(place_in: str, content: bytes) -> dict[str, TomlValue]:
    return {"file": place_in, "sha256": _sha256(content), "size_bytes": len(content)}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
