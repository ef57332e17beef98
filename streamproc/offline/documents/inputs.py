"""The files that a command is given: by name, by pattern, by folder."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from streamproc.errors import DataFileError, SettingsError
from streamproc.messages.cloudevents import MAX_ID_CHARACTERS
from streamproc.offline.documents.streams import STDIN
from streamproc.offline.documents.walking import FoundFile, SkippedFiles, walk


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file to be read.

    name:  below the folder that all inputs share; it stays the same wherever that folder lies
    fault: why it can't be read, where that is known already; "" else
    """

    path: Path
    name: str
    size_bytes: int | None
    fault: str = ""

    def id(self, row: int | None = None) -> str:
        """What a row of it, or the whole of it, is called among the answers.

        The end of a name that is too long for an id stays, behind a digest of the whole.
        """
        called = self.name if row is None else f"{self.name}#{row}"
        if len(called) <= MAX_ID_CHARACTERS:
            return called
        digest = hashlib.sha256(called.encode()).hexdigest()[:16]
        return f"{digest}…{called[17 - MAX_ID_CHARACTERS :]}"


class Inputs:
    """Files, read one after another in an order that stays the same.

    alone: a single file was named. What is wrong with it ends the command; of several, a file that
           is wrong is an error among the results
    """

    def __init__(
        self,
        given: Sequence[Path],
        tell: Callable[[str], None] = lambda _: None,
        *,
        leave_out: Collection[Path] = (),
    ) -> None:
        """Nothing is opened, and no folder is read yet.

        given:     files, folders, patterns such as "mail/**/*.eml"; "-" is standard input
        tell:      is told in a line what a folder holds that is not read
        leave_out: files and folders that are written, which are skipped where they lie in a folder
        Raises SettingsError for what is not there or given twice.
        """
        self._tell = tell
        self._leave_out = tuple(leave_out)
        self._given = _with_patterns_resolved(given)
        _refuse_twice(self._given)
        # Neither hangs on how many files there are today.
        self.alone = [*given] == self._given and len(given) == 1 and not given[0].is_dir()
        self._base = _shared_folder(given)

    def __iter__(self) -> Iterator[InputFile]:
        """The files; a folder's are sorted by name, and found as they are asked for.

        Raises DataFileError where there is none.
        """
        skipped = SkippedFiles()
        count = 0
        for found in self._found(skipped):
            count += 1
            yield InputFile(found.path, self._name(found.path), found.size_bytes, found.fault)
        for line in skipped.lines():
            self._tell(line)
        if not count:
            raise DataFileError(f"no file to read in {', '.join(map(str, self._given))}")

    @property
    def total_bytes(self) -> int | None:
        """Of all files, which are looked at for it; None where that has no end."""
        sizes = (found.size_bytes for found in self._found(SkippedFiles()))
        total = 0
        for size in sizes:
            if size is None:
                return None
            total += size
        return total

    def _found(self, skipped: SkippedFiles) -> Iterator[FoundFile]:
        for path in self._given:
            if path != STDIN and path.is_dir():
                yield from walk(path, self._leave_out, skipped)
            else:
                yield FoundFile.named(path)

    def _name(self, path: Path) -> str:
        if path == STDIN:
            return str(path)
        name = os.path.relpath(_absolute(path), self._base)
        # Bytes of a name that are not UTF-8 are escaped, as no id could hold them.
        return os.fsencode(name).decode("utf-8", "backslashreplace")


def _is_pattern(path: Path) -> bool:
    # A name that is there is no pattern, whatever signs are in it.
    return path != STDIN and glob.has_magic(str(path)) and not os.path.lexists(path)


def _with_patterns_resolved(given: Sequence[Path]) -> list[Path]:
    paths: list[Path] = []
    for path in given:
        if not _is_pattern(path):
            paths.append(path)
            continue
        # Hidden files are left out by this one, which finds one twice where ** stands twice.
        found = sorted({Path(name) for name in glob.iglob(str(path), recursive=True)})  # noqa: PTH207
        files = [name for name in found if not name.is_dir()]
        if not files:
            raise SettingsError(f"no file matches {path}")
        paths += files
    if len(paths) > 1:
        for path in paths:
            if path != STDIN and not path.exists():
                raise SettingsError(f"can't read {path}: No such file or directory")
    return paths


def _refuse_twice(paths: Sequence[Path]) -> None:
    seen = set[str]()
    for path in paths:
        place = _absolute(path)
        if place in seen:
            raise SettingsError(f"{path} is given twice")
        seen.add(place)
    for path in paths:
        inside = next((one for one in Path(_absolute(path)).parents if str(one) in seen), None)
        if inside is not None:
            raise SettingsError(f"{path} is given twice: {inside} holds it")


def _shared_folder(given: Sequence[Path]) -> str:
    """The folder that all lie in; of a pattern, the folder that it begins with."""
    folders = []
    for path in given:
        folder = path if path.is_dir() else path.parent
        while _is_pattern(folder):
            folder = folder.parent
        if path != STDIN:
            folders.append(_absolute(folder))
    with suppress(ValueError):  # on two drives
        return os.path.commonpath(folders) if folders else ""
    return os.sep


def _absolute(path: Path) -> str:
    """A path from the root, whose links stay as they are."""
    return str(path) if path == STDIN else os.path.abspath(path)  # noqa: PTH100
