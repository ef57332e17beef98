"""A stage of a model on disk, loaded maybe many times, and verified whenever it changed."""

from __future__ import annotations

from pathlib import Path
from stat import S_ISREG

from streamproc.errors import ModelRefused
from streamproc.repository.manifest import StageSection
from streamproc.repository.verified import inside, verified, verify_in_place

# What tells that a file is still the one that was verified.
_Identity = tuple[int, int, int, int]


class StoredStage:
    """The graph of some layers as bytes, and the folder of their weights, which stay on disk.

    resident_bytes: what the weights take once they are loaded
    file_bytes: what both files take on disk
    """

    def __init__(self, folder: Path, section: StageSection) -> None:
        self.resident_bytes = section.resident_bytes
        self.file_bytes = section.size_bytes + section.weights.size_bytes
        self._folder, self._section = folder, section
        self._seen: _Identity | None = None

    def files(self) -> tuple[bytes, Path]:
        """The graph, and the folder in which it finds its weights; raises ModelRefused.

        Weights are hashed when they are first asked for, and again only when the file has another
        inode, size or time than then: hashing takes longer than loading.
        """
        weights = self._section.weights
        graph = verified(self._folder, self._section.file, self._section.sha256)
        path = inside(self._folder, weights.file)
        found = _identity(path)
        if found != self._seen:
            verify_in_place(self._folder, weights.file, weights.sha256, weights.size_bytes)
            self._seen = found
        return graph, path.parent


def _identity(path: Path) -> _Identity:
    try:
        found = path.stat()
    except OSError as error:
        raise ModelRefused(f"{path}: {error.strerror}; the manifest names it") from None
    if not S_ISREG(found.st_mode):
        raise ModelRefused(f"{path} is not a file; the manifest names it")
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
