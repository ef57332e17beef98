"""A folder's files, sorted, found as they are asked for; what is skipped is counted."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from streamproc.offline.documents.streams import STDIN

Identity = tuple[int, int]
"""What tells a file from any other, by whatever name: its device and its inode."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file, or a folder that can't be read.

    size_bytes: None where it has no known end, as a pipe has none
    fault: why it can't be read; "" where nothing is known against it
    """

    path: Path
    size_bytes: int | None
    fault: str = ""

    @classmethod
    def named(cls, path: Path) -> FoundFile:
        """One that is read whatever it is, as it was asked for by its name."""
        try:
            about = os.fstat(0) if path == STDIN else path.stat()
        except (OSError, ValueError):  # told by whoever opens it
            return cls(path, None)
        return cls(path, about.st_size if stat.S_ISREG(about.st_mode) else None)


@dataclass(slots=True)
class SkippedFiles:
    """Counts of what a folder holds and nobody reads, with an example of each."""

    counts: Counter[str] = field(default_factory=Counter)
    _first: dict[str, str] = field(default_factory=dict)

    def add(self, why: str, path: str) -> None:
        """why: what such files are, in the plural"""
        self.counts[why] += 1
        self._first.setdefault(why, path)

    def lines(self) -> Iterator[str]:
        """A line for each reason."""
        for why, count in self.counts.items():
            such = f"{count:,}, such as " if count > 1 else ""
            yield f"{why} not read: {such}{self._first[why]}"


def walk(folder: Path, leave_out: Collection[Path], skipped: SkippedFiles) -> Iterator[FoundFile]:
    """The files in a folder and in the folders in it, sorted by their paths' parts.

    leave_out: files and folders that are skipped, which may not be there yet
    skipped: is told of these, of hidden files, of links to folders, and of what is no file
    A folder that can't be listed is found with its fault. Memory holds the names of the folders
    that lead to a file.
    """
    levels = [iter([str(folder)])]
    left_out = set[Identity | None]()
    while levels:
        path = next(levels[-1], None)
        if path is None:
            levels.pop()
            continue
        try:
            about = os.stat(path)  # noqa: PTH116 - a million paths
            if (about.st_dev, about.st_ino) in left_out:
                skipped.add("files that are written are", path)
            elif stat.S_ISDIR(about.st_mode):
                if os.path.islink(path) and len(levels) > 1:  # noqa: PTH114
                    skipped.add("links to folders are", path)
                else:
                    # Again in each folder, as what is written appears while others are read.
                    left_out = set(map(_identity, leave_out)) - {None}
                    levels.append(iter(_names(path, skipped)))
            elif stat.S_ISREG(about.st_mode):
                yield FoundFile(Path(path), about.st_size)
            else:
                skipped.add("pipes and devices are", path)
        except OSError as error:
            yield FoundFile(Path(path), 0, f"can't read {path}: {error.strerror}")


def file_identity(path: Path) -> Identity | None:
    """None of what is no file."""
    try:
        about = os.fstat(0) if path == STDIN else path.stat()
    except (OSError, ValueError):
        return None
    return (about.st_dev, about.st_ino) if stat.S_ISREG(about.st_mode) else None


def _identity(path: Path) -> Identity | None:
    """Of a file or a folder; None of what is not there."""
    try:
        about = path.stat()
    except (OSError, ValueError):
        return None
    return about.st_dev, about.st_ino


def _names(folder: str, skipped: SkippedFiles) -> list[str]:
    """What is in a folder, sorted, hidden ones left out."""
    paths = []
    for name in sorted(os.listdir(folder)):  # noqa: PTH208
        path = os.path.join(folder, name)  # noqa: PTH118
        if name.startswith("."):
            skipped.add("hidden files and folders are", path)
        else:
            paths.append(path)
    return paths
