"""Changing a member in a manifest that somebody may have written by hand."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence

from pydantic import ValidationError

from streamproc.errors import ModelRefused
from streamproc.repository.manifest import Manifest, MemberSection, read_manifest
from streamproc.repository.section import describe_faults
from streamproc.repository.writing import manifest_toml, member_toml

_HEADER = re.compile(r"\s*\[+\s*([\w.-]+)\s*\]+\s*(#.*)?")


def with_member(text: str, name: str, section: MemberSection | None) -> str:
    """The manifest with another section for a member, or without the member.

    Everything else, comments included, stays as it was, where members are tables of their own;
    where they are written in another way, the manifest is written anew.
    Raises ModelRefused where it would hold together no longer.
    """
    before = read_manifest(text.encode(), "the manifest")
    members = tuple(
        section if member.name == name else member
        for member in before.members
        if member.name != name or section
    )
    wanted = _with_members(before, [member for member in members if member])
    edited = _edited(text, [member.name for member in before.members].index(name), section)
    if edited is not None and _same(edited, wanted):
        return edited
    return manifest_toml(wanted)


def with_another_member(text: str, section: MemberSection) -> str:
    """The manifest with one more member, at its end; else as `with_member` has it."""
    before = read_manifest(text.encode(), "the manifest")
    wanted = _with_members(before, (*before.members, section))
    edited = f"{text.rstrip()}\n\n{member_toml(section)}"
    return edited if _same(edited, wanted) else manifest_toml(wanted)


def _with_members(manifest: Manifest, members: Sequence[MemberSection]) -> Manifest:
    """Raises ModelRefused where it does not hold together."""
    values = {
        **manifest.model_dump(exclude={"members"}),
        "members": [member.model_dump() for member in members],
    }
    try:
        return Manifest.model_validate(values)
    except ValidationError as error:
        raise ModelRefused(f"the manifest: {describe_faults(error, Manifest)}") from None


def _edited(text: str, place: int, section: MemberSection | None) -> str | None:
    """The text with the member's own lines replaced; None where it has no lines of its own."""
    lines = text.splitlines(keepends=True)
    headers = [
        (number, found.group(1))
        for number, line in enumerate(lines)
        if (found := _HEADER.fullmatch(line.rstrip("\n")))
    ]
    begins = [number for number, title in headers if title == "members"]
    if place >= len(begins):
        return None
    begin = begins[place]
    following = [
        number for number, title in headers if number > begin and not title.startswith("members.")
    ]
    end = min(following, default=len(lines))
    # What stands right above a table is said of that table.
    while end > begin + 1 and (
        not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")
    ):
        end -= 1
    written = member_toml(section) if section else ""
    return "".join([*lines[:begin], written, *lines[end:]])


def _same(text: str, wanted: Manifest) -> bool:
    try:
        return Manifest.model_validate(tomllib.loads(text)) == wanted
    except ValueError:  # TOML's and pydantic's are both
        return False
