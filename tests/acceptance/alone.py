"""One member of an ensemble, as an ensemble of its own."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from streamproc.repository.manifest import DecodingSection, MemberSection
from streamproc.repository.repository import MANIFEST, Repository, StoredEnsemble
from streamproc.settings import read_settings


def copy_with_one_member(
    ensemble: str, member: int, models: Path
) -> tuple[StoredEnsemble, MemberSection, DecodingSection]:
    """Copy an ensemble that writes text from the models folder into another, with one member left.

    Returns the original, that member, and how it decodes.
    """
    stored = Repository(read_settings().models_dir).open(ensemble)
    shutil.copytree(stored.folder, models / ensemble)
    manifest = models / ensemble / MANIFEST
    head, *members = manifest.read_text("utf-8").split("[[members]]")
    head = re.sub(r"(?m)^quorum *=.*$", "", head)
    manifest.write_text(f"{head}[[members]]{members[member]}", "utf-8")
    assert stored.manifest.decoding is not None
    return stored, stored.manifest.members[member], stored.manifest.decoding
