"""A member's files, as they are opened."""

from __future__ import annotations

from streamproc.repository.manifest import MemberSection
from streamproc.repository.repository import StoredEnsemble
from streamproc.serving.inference.model import Model, Staged
from streamproc.serving.inference.residency import Residency


def model_of(stored: StoredEnsemble, member: MemberSection, residency: Residency) -> Model:
    """A member's model, whole or in stages; raises ModelRefused.

    residency: which stages are loaded, of all members alike
    """
    if member.stages:
        return Staged(stored.stages(member), residency)
    return stored.model(member)
