"""An ensemble on disk, written anew with models that are cut into stages."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from streamproc.errors import ModelRefused
from streamproc.offline.splitting.model_splitter import WrittenStage, split_model
from streamproc.repository.files import atomic_directory, atomic_file
from streamproc.repository.manifest import MemberSection
from streamproc.repository.repository import MANIFEST, PREFIXES, Repository, StoredEnsemble
from streamproc.repository.verified import verify_in_place
from streamproc.repository.versioned_name import VERSIONED_NAME, plain_name
from streamproc.repository.writing import manifest_toml


@dataclass(frozen=True, slots=True)
class SplitMember:
    """A member whose model was cut."""

    name: str
    stages: tuple[WrittenStage, ...]


def split_ensemble(
    stored: StoredEnsemble,
    stages: int,
    root: Path,
    name: str,
    members: Collection[str],
    told: Callable[[SplitMember], None],
) -> Path:
    """Write an ensemble whose members' models are cut into stages; returns its folder.

    root, name: the models folder and the name of the new ensemble; it appears there when complete
    members: names of those to cut, the others are copied; none: all
    told: of each member that was cut
    Raises ModelRefused where there is something by that name, or a model can't be cut so.
    """
    if not re.fullmatch(VERSIONED_NAME, name):
        raise ModelRefused(f"{name!r} can't be the name of an ensemble; give another by --as")
    folder = Repository(root).folder(name)
    if folder.exists():
        raise ModelRefused(f"{folder} is there already; give another name by --as, or remove it")
    chosen = _chosen(stored, members)
    with atomic_directory(folder) as unfinished:
        _copy_shared(stored, unfinished, root)
        written: list[MemberSection] = []
        for member in stored.manifest.members:
            if member.name in chosen:
                cut = _split_member(stored, member, stages, unfinished)
                written.append(_in_stages(member, cut, unfinished))
                told(cut)
            else:
                _copy_files(stored, member.files, unfinished)
                written.append(member)
        manifest = stored.manifest.model_copy(
            update={"name": plain_name(name), "members": tuple(written)}
        )
        (unfinished / MANIFEST).write_text(manifest_toml(manifest), encoding="utf-8")
    return folder


def _chosen(stored: StoredEnsemble, names: Collection[str]) -> set[str]:
    manifest = stored.manifest
    known = [member.name for member in manifest.members]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ModelRefused(
            f"ensemble {manifest.name} has no member {', '.join(unknown)}; it has "
            f"{', '.join(known)}"
        )
    chosen = set(names or known)
    for member in manifest.members:
        if member.name in chosen and member.stages:
            raise ModelRefused(
                f"member {member.name} is in {len(member.stages)} stages already; split the "
                "ensemble that it was made from"
            )
        if member.name in chosen and member.decoder:
            raise ModelRefused(
                f"member {member.name} is an encoder-decoder, and its decoder one branch for "
                "steps with a cache and one without: such a model can't be cut"
            )
    return chosen


def _split_member(
    stored: StoredEnsemble, member: MemberSection, stages: int, folder: Path
) -> SplitMember:
    if member.file is None or member.sha256 is None:
        raise AssertionError(f"member {member.name} has no model of its own to cut")
    path = verify_in_place(stored.folder, member.file, member.sha256)
    target = folder / member.name / member.version
    try:
        return SplitMember(member.name, tuple(split_model(path, stages, target)))
    except ModelRefused as reason:
        raise ModelRefused(f"member {member.name}: {reason}") from None


def _in_stages(member: MemberSection, cut: SplitMember, folder: Path) -> MemberSection:
    stages = tuple(stage.section(folder) for stage in cut.stages)
    whole = {"file": None, "sha256": None, "size_bytes": None}
    return member.model_copy(update={**whole, "stages": stages})


def _copy_shared(stored: StoredEnsemble, folder: Path, root: Path) -> None:
    manifest = stored.manifest
    beside = [(manifest.tokenizer.file, manifest.tokenizer.sha256)]
    if manifest.gate is not None:
        beside.append((manifest.gate.file, manifest.gate.sha256))
    _copy_files(stored, beside, folder)
    if manifest.prefix is not None:
        source = stored.folder.parent / PREFIXES
        name = f"{manifest.prefix.sha256}.onnx"
        if not (root / PREFIXES / name).exists():
            _copy(source, name, manifest.prefix.sha256, root / PREFIXES)


def _copy_files(stored: StoredEnsemble, files: Iterable[tuple[str, str]], folder: Path) -> None:
    for name, sha256 in files:
        _copy(stored.folder, name, sha256, folder)


def _copy(source: Path, name: str, sha256: str, target: Path) -> None:
    path = verify_in_place(source, name, sha256)
    copy = target / name
    copy.parent.mkdir(parents=True, exist_ok=True)
    # Under its name only when complete: other ensembles may look for a prefix meanwhile.
    with atomic_file(copy) as unfinished:
        shutil.copyfile(path, unfinished)
