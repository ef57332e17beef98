"""What consumers of an ensemble's answers rely on, which no version of it may change."""

from __future__ import annotations

from typing import NamedTuple, Self

from streamproc.errors import ModelRefused
from streamproc.repository.repository import StoredEnsemble
from streamproc.serving.engine import Engine
from streamproc.types import ProblemType


class Interface(NamedTuple):
    """An ensemble as those see it who read its answers: conditions and redactions of routes, and
    schemas, name its labels."""

    task: str
    problem_type: ProblemType
    labels: frozenset[str]

    @classmethod
    def of_engine(cls, engine: Engine) -> Self:
        """That of what is loaded."""
        spec = engine.spec
        return cls(engine.task.name, spec.problem_type, frozenset(spec.labels))

    @classmethod
    def of_stored(cls, stored: StoredEnsemble) -> Self:
        """That of what a manifest describes."""
        manifest = stored.manifest
        return cls(manifest.task, manifest.problem_type, frozenset(manifest.labels))

    def require_same(self, new: StoredEnsemble, than: str) -> None:
        """Raise ModelRefused where another version has another one; than: the version of this."""
        found = self.of_stored(new)
        named = f"version {new.version} of {new.manifest.name}"
        rename = "give it a name of its own, which requests and routes can ask for"
        if found.task != self.task:
            raise ModelRefused(
                f"{named} is for {found.task}, and version {than} for {self.task}: {rename}"
            )
        if found.problem_type != self.problem_type:
            raise ModelRefused(
                f"{named} is of problem_type {found.problem_type}, and version {than} of "
                f"{self.problem_type}: {rename}"
            )
        if found.labels != self.labels:
            apart = [
                f"{what} {', '.join(sorted(labels))}"
                for what, labels in (
                    ("lacks", self.labels - found.labels),
                    ("adds", found.labels - self.labels),
                )
                if labels
            ]
            raise ModelRefused(
                f"{named} has other labels than version {than}: it {' and '.join(apart)}; {rename}"
            )
