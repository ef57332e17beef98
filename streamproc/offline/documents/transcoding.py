"""Text in other encodings as UTF-8."""

from __future__ import annotations

import codecs
import io
from dataclasses import replace

from streamproc.errors import DataFileError, SettingsError
from streamproc.offline.documents.document import DocumentError
from streamproc.offline.documents.encodings import DETECTED_BYTES, encoding_of
from streamproc.offline.documents.extras import needs_extra
from streamproc.offline.documents.streams import CHUNK_BYTES, Counted, OpenFile

DETECT = "detect"
"""In the place of an encoding: it is told by how the text begins."""


class Transcoded(io.RawIOBase):
    """Another file's text as UTF-8; raises DataFileError where it is not in `encoding`."""

    def __init__(self, rest: io.BufferedReader, encoding: str, name: str) -> None:
        self._rest, self._encoding, self._name = rest, encoding, name
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ready = b""
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            found = self._rest.read1(CHUNK_BYTES)
            self._count += len(found)
            try:
                self._ready = self._decoder.decode(found, not found).encode()
            except UnicodeError as error:
                at = f" at byte {self._at(error)}" if isinstance(error, UnicodeDecodeError) else ""
                raise DataFileError(f"{self._name} is not {self._encoding}{at}: {error}") from None
            if not found:
                break
        given, self._ready = self._ready[: len(buffer)], self._ready[len(buffer) :]
        buffer[: len(given)] = given
        return len(given)

    def _at(self, error: UnicodeDecodeError) -> int:
        # What the decoder was given begins with what it had kept of the chunk before.
        return self._count - len(error.object) + error.start


def in_utf8(file: OpenFile, encoding: str | None) -> tuple[OpenFile, str]:
    """The file with its bytes in UTF-8, and what is to be told where its encoding was detected.

    encoding: None: they are that already, which is not checked
    Raises DataFileError, and SettingsError where an extra is not installed.
    """
    said = ""
    if encoding == DETECT:
        begin = file.read(DETECTED_BYTES)
        again: io.BufferedReader = io.BufferedReader(Counted(begin, file.unpacked), CHUNK_BYTES)
        file = replace(file, unpacked=again)
        encoding = _detected(file.name, begin)
        said = f"{file.name} is not UTF-8: read as {encoding}, as detected" if encoding else ""
    if encoding is None:
        return file, said
    transcoded = Transcoded(file.unpacked, encoding, file.name)
    return replace(file, unpacked=io.BufferedReader(transcoded, CHUNK_BYTES)), said


def _detected(name: str, begin: bytes) -> str | None:
    try:
        return encoding_of(begin)
    except DocumentError as error:
        raise DataFileError(f"{name} {error}") from None
    except ModuleNotFoundError as missing:
        raise SettingsError(needs_extra(name, missing)) from None


def require_encoding(encoding: str) -> None:
    """Raise SettingsError where there is no such encoding."""
    try:
        # Not of nothing: for that no codec is looked up.
        b" ".decode(encoding)
    except UnicodeDecodeError:
        pass
    except (LookupError, ValueError):
        raise SettingsError(
            f"there is no encoding {encoding!r}; latin-1, cp1252 and utf-16 are some that there are"
        ) from None
