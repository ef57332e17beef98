"""Versions that were to answer and do not: why, and when they are worth another try."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from streamproc.errors import OperatorError, StreamprocError
from streamproc.messages.model_choice import VersionDigest
from streamproc.repository.repository import Repository
from streamproc.repository.versioned_name import versioned
from streamproc.worker.model_memory import NoRoomForModel

FolderFiles = frozenset[tuple[str, int, int]]
"""Names, sizes and times of the files in a version's folder."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A version of an ensemble that was to answer and does not.

    reason: why, a sentence with what to do
    files: that its folder had
    may_pass: whether the same files may be taken later
    """

    ensemble: str
    wanted: VersionDigest
    reason: str
    files: FolderFiles
    may_pass: bool

    @classmethod
    def of(
        cls, repository: Repository, ensemble: str, wanted: VersionDigest, error: Exception
    ) -> Self:
        """For what loading it raised."""
        foreseen = isinstance(error, (StreamprocError, OSError))
        return cls(
            ensemble,
            wanted,
            reason=str(error) if foreseen else f"{type(error).__name__}: {error}",
            files=_files(repository, ensemble, wanted.version),
            may_pass=isinstance(error, (NoRoomForModel, MemoryError)),
        )

    def is_worth_another_try(self, repository: Repository) -> bool:
        """Whether it may be taken now: files have come, or memory may be free."""
        own = self.ensemble, self.wanted.version
        return self.may_pass or self.files != _files(repository, *own)


def _files(repository: Repository, ensemble: str, version: str) -> FolderFiles:
    """What tells that a version's folder is as it was."""
    try:
        folder = repository.folder(versioned(ensemble, version))
        return frozenset(_identity(path) for path in folder.rglob("*"))
    except (OperatorError, OSError):
        return frozenset()


def _identity(path: Path) -> tuple[str, int, int]:
    found = path.stat()
    return str(path), found.st_size, found.st_mtime_ns
