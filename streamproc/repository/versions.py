"""Versions of a member, side by side on disk; the manifest names the one in use.

`<ensemble>/<member>/<version>/` holds a version's files, and `member.toml` beside them what a
manifest says of it: as it was imported, or as it stood when another version took its place, with
the weight that was fitted to it and its metrics.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from streamproc.errors import ModelRefused
from streamproc.repository.files import atomic_write
from streamproc.repository.manifest import MemberSection
from streamproc.repository.repository import StoredEnsemble
from streamproc.repository.section import describe_faults
from streamproc.repository.toml import read_toml
from streamproc.repository.version_order import numbers_by_size
from streamproc.repository.writing import member_toml

MEMBER = "member.toml"


def member_in_use(stored: StoredEnsemble, name: str) -> MemberSection:
    """What the manifest says of a member; raises ModelRefused where there is none."""
    for member in stored.manifest.members:
        if member.name == name:
            return member
    raise ModelRefused(
        f"the ensemble {stored.name} has no member {name!r}; it has "
        f"{', '.join(member.name for member in stored.manifest.members)}"
    )


def version_names(stored: StoredEnsemble, name: str) -> list[str]:
    """The versions of a member that there are, 2 before 10, the one in use among them."""
    used = {member.version for member in stored.manifest.members if member.name == name}
    kept = {path.parent.name for path in (stored.folder / name).glob(f"*/{MEMBER}")}
    return sorted(used | kept, key=numbers_by_size)


def next_version(stored: StoredEnsemble, name: str) -> str:
    """A version that there is not yet."""
    there = version_names(stored, name)
    numbers = [int(version) for version in there if version.isdecimal()]
    return str(max(numbers, default=len(there)) + 1)


def read_version(stored: StoredEnsemble, name: str, version: str) -> MemberSection:
    """What a manifest says of a version that there is; raises ModelRefused."""
    used = member_in_use(stored, name)
    if used.version == version:
        return used
    there = version_names(stored, name)
    if version not in there:
        raise ModelRefused(
            f"{stored.name}: {name} has no version {version!r}; it has {', '.join(there)}"
        )
    path = stored.folder / name / version / MEMBER
    try:
        (values,) = read_toml(path)["members"]
        section = MemberSection.model_validate(values)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ModelRefused(f"{path}: not a member's description: {error}") from None
    except ValidationError as error:
        raise ModelRefused(f"{path}: {describe_faults(error, MemberSection)}") from None
    if (section.name, section.version) != (name, version):
        raise ModelRefused(f"{path} describes {section.name}/{section.version}")
    return section


def keep_version(folder: Path, member: MemberSection) -> None:
    """Write what a manifest says of a member beside its files, so that it can be used again."""
    place = folder / member.name / member.version
    place.mkdir(parents=True, exist_ok=True)
    atomic_write(place / MEMBER, member_toml(member))
