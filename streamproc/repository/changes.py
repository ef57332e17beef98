"""Changing what an ensemble on disk uses: tried out beside it first, then at once.

A manifest is replaced whole, after the files that it names are there and before any is removed, so
that whoever reads meanwhile, and whatever ends in between, finds an ensemble that can be used.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from streamproc.errors import ModelRefused
from streamproc.repository.files import atomic_directory, atomic_write
from streamproc.repository.manifest import MemberSection, read_manifest
from streamproc.repository.repository import MANIFEST, PREFIXES, Repository, StoredEnsemble
from streamproc.repository.rewriting import with_member
from streamproc.repository.versioned_name import VersionedName
from streamproc.repository.versions import (
    keep_version,
    member_in_use,
    read_version,
    version_names,
)

Verify = Callable[[Path, str], None]
"""Load an ensemble of a model repository as a worker does; raises ModelRefused."""


def use_version(stored: StoredEnsemble, name: str, version: str, verify: Verify) -> MemberSection:
    """Let the manifest name another version of a member; returns the one that was in use.

    Raises ModelRefused, and leaves everything as it was, where the ensemble would not load.
    """
    used, wanted = member_in_use(stored, name), read_version(stored, name, version)
    if wanted.version == used.version:
        raise ModelRefused(f"{stored.name} uses version {version} of {name} already")
    text = with_member(manifest_text(stored), name, wanted)
    with trial_copy(stored) as trial:
        try_manifest(trial, text, verify)
    keep_version(stored.folder, used)
    replace_manifest(stored, text)
    return used


def copy_ensemble(stored: StoredEnsemble, name: str) -> Path:
    """Make a new version of an ensemble, which begins as a copy of another; returns its folder.

    name: NAME@VERSION, of the same ensemble
    Files are linked where the disk allows it, so that it costs no space: none of an ensemble's is
    ever changed in its place. Raises ModelRefused where the version is there already.
    """
    wanted = VersionedName.read(name)
    if wanted is None or wanted.version is None or wanted.name != stored.manifest.name:
        raise ModelRefused(
            f"{name!r} is no version of {stored.manifest.name}: name it as "
            f"{stored.manifest.name}@VERSION"
        )
    folder = Repository(stored.folder.parent).folder(name)
    if folder.exists():
        raise ModelRefused(f"{folder} is there already; name another version, or remove it")
    with atomic_directory(folder) as unfinished:
        _copy(stored.folder, unfinished)
    return folder


def remove_version(stored: StoredEnsemble, name: str, version: str) -> None:
    """Remove the files of a version that is not in use; raises ModelRefused."""
    folder = stored.folder / name / version
    # Names on disk, so that none leads out of the member's folder.
    there = {path.name for path in (stored.folder / name).glob("*") if path.is_dir()}
    if version not in there | set(version_names(stored, name)):
        raise ModelRefused(
            f"{stored.name}: {name} has no version {version!r}; it has "
            f"{', '.join(version_names(stored, name)) or 'none'}"
        )
    _require_unused(stored, folder)
    _remove(folder)


def remove_member(stored: StoredEnsemble, name: str, verify: Verify) -> None:
    """Take a member out of the manifest, then remove the files of all its versions.

    Raises ModelRefused, and leaves everything as it was, where the others can't go on without it.
    """
    manifest = stored.manifest
    member_in_use(stored, name)
    if len(manifest.members) == 1:
        raise ModelRefused(
            f"{name} is the only member of {stored.name}: remove the ensemble, or import "
            "another model into it first"
        )
    if manifest.quorum and manifest.quorum > len(manifest.members) - 1:
        raise ModelRefused(
            f"{stored.name} needs the answers of {manifest.quorum} members (quorum), and would "
            f"have {len(manifest.members) - 1} without {name}: lower its quorum first"
        )
    text = with_member(manifest_text(stored), name, None)
    with trial_copy(stored) as trial:
        try_manifest(trial, text, verify)
    replace_manifest(stored, text)
    if (stored.folder / name).is_dir():
        _remove(stored.folder / name)


def remove_ensemble(stored: StoredEnsemble) -> None:
    """Remove an ensemble with all its files; layers that it shares with others stay."""
    _remove(stored.folder)


@contextmanager
def trial_copy(stored: StoredEnsemble) -> Iterator[Path]:
    """A copy of an ensemble on the repository's disk, in a repository that no worker reads.

    Files are linked where the disk allows it, so that it costs no space.
    """
    root = stored.folder.parent
    with beside(root) as staging:
        trial = staging / stored.folder.name
        _copy(stored.folder, trial)
        (trial / MANIFEST).unlink()  # a link: what is written next must not reach the original
        if stored.manifest.prefix:
            (staging / PREFIXES).symlink_to((root / PREFIXES).resolve())
        yield trial


@contextmanager
def beside(root: Path) -> Iterator[Path]:
    """A folder on the repository's disk, which no worker takes for an ensemble."""
    there = root.is_dir()
    root.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".trial-", dir=root) as folder:
            yield Path(folder)
    finally:
        if not there and not any(root.iterdir()):
            root.rmdir()


def try_manifest(trial: Path, text: str, verify: Verify) -> None:
    """Let a copy of an ensemble have that manifest, and load it; raises ModelRefused."""
    read_manifest(text.encode(), MANIFEST)
    (trial / MANIFEST).write_text(text, encoding="utf-8")
    verify(trial.parent, trial.name)


def manifest_text(stored: StoredEnsemble) -> str:
    """The manifest as it is written, comments included."""
    return (stored.folder / MANIFEST).read_text(encoding="utf-8")


def replace_manifest(stored: StoredEnsemble, text: str) -> None:
    """Put a manifest in the place of the one that was read; raises ModelRefused if it changed."""
    require_unchanged(stored)
    atomic_write(stored.folder / MANIFEST, text)


def require_unchanged(stored: StoredEnsemble) -> None:
    """Raise ModelRefused where the manifest on disk is another than was read."""
    if stored.changed():
        raise ModelRefused(
            f"{stored.folder / MANIFEST} was changed by another process meanwhile; nothing was "
            "written: run the command again"
        )


def _require_unused(stored: StoredEnsemble, folder: Path) -> None:
    for member in stored.manifest.members:
        for file, _ in member.files:
            if (stored.folder / file).is_relative_to(folder):
                raise ModelRefused(
                    f"{stored.name} uses {member.name}/{member.version}: let it use "
                    f"another first (models use {stored.name} {member.name} VERSION), or "
                    f"remove the member ({stored.name} {member.name})"
                )


def _remove(folder: Path) -> None:
    """Out of sight at once, then file by file."""
    with tempfile.TemporaryDirectory(prefix=".removed-", dir=folder.parent) as gone:
        folder.replace(Path(gone) / folder.name)


def _copy(source: Path, target: Path) -> None:
    """Files as links to the same bytes; symbolic links as they are, wherever they may lead."""
    shutil.copytree(source, target, symlinks=True, copy_function=_linked, dirs_exist_ok=True)


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
