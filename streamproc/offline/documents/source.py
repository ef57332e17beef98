"""A file being read, line by line or piece by piece; it knows where it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NoReturn

from streamproc.errors import DataFileError
from streamproc.offline.documents.packing import BrokenPacking
from streamproc.offline.documents.streams import OpenFile, shown

# As large as STREAMPROC_MAX_MESSAGE_BYTES may be: no request, and so no row, is longer.
MAX_ROW_BYTES = 64 << 20
PIECE_BYTES = 1 << 18
# Of a line that tells the format; a JSON array may be a single line of any length.
_SEEN_BYTES = 1 << 16
_BOM = b"\xef\xbb\xbf"
# As Python's universal newlines have them: a lone carriage return ends a line too.
_LINE = re.compile(rb"[^\r\n]*(?:\r\n?|\n|\Z)")


class Source:
    """The text of a file in UTF-8, without a byte order mark.

    line:  lines read so far
    bytes: of the unpacked text, read so far
    """

    def __init__(self, file: OpenFile) -> None:
        self.path, self.line, self.bytes = file.path, 0, 0
        self._unpacked = file.unpacked
        # Blank lines, and the begin of the first that is not, which were looked at beforehand.
        self._put_back = b""
        self._begun = False

    def lines(self) -> Iterator[bytes]:
        """The lines that are left, each with its end."""
        while taken := self._line():
            for line in _LINE.findall(taken) if b"\r" in taken else (taken,):
                if line:
                    self.line += 1
                    self.bytes += len(line)
                    yield line

    def piece(self, size: int = PIECE_BYTES) -> bytes:
        """The next bytes, at most `size`; b"" at the end."""
        piece, self._put_back = self._put_back, b""
        piece = piece or self._read(lines=False, size=size)
        self.bytes += len(piece)
        return piece

    def first_line(self) -> bytes:
        """The first line that is not blank, its begin at least, which is still there to be read."""
        while not self._put_back.strip() and (line := self._read(lines=True, size=_SEEN_BYTES)):
            self._put_back += line
        return self._put_back.strip()

    def text(self, line: bytes) -> str:
        """The line read last, decoded; raises DataFileError."""
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            self._fail_encoding(error, self.bytes - len(line), self.line)

    def require_utf8(self, part: bytes, begins: int, line: int) -> None:
        """Raise DataFileError where a part of the file, from that byte and line, is not UTF-8."""
        try:
            part.decode()
        except UnicodeDecodeError as error:
            line += part.count(b"\n", 0, error.start)
            self._fail_encoding(error, begins, line)

    def fail(self, why: str) -> NoReturn:
        """Raise DataFileError, naming the file."""
        raise DataFileError(f"{shown(self.path)}{why}") from None

    def _fail_encoding(self, error: UnicodeDecodeError, begins: int, line: int) -> NoReturn:
        self.fail(
            f", line {line}: not UTF-8: {error.reason} at byte {begins + error.start} of the "
            f"file; convert it (iconv -f latin1 -t utf-8), or give run and submit its encoding "
            "(--encoding latin-1, or --encoding detect)"
        )

    def _line(self) -> bytes:
        """The next line, at the end b"" """
        seen, newline, rest = self._put_back.partition(b"\n")
        if newline:
            self._put_back = rest
            return seen + newline
        self._put_back = b""
        line = seen + self._read(lines=True, size=MAX_ROW_BYTES + 1 - len(seen))
        if len(line) > MAX_ROW_BYTES:
            self.fail(f", line {self.line + 1}: longer than {MAX_ROW_BYTES} bytes")
        return line

    def _read(self, *, lines: bool, size: int) -> bytes:
        try:
            taken = self._unpacked.readline(size) if lines else self._unpacked.read1(size)
        except BrokenPacking as error:
            self.fail(f", after line {self.line}: {error}")
        except OSError as error:
            self.fail(f", after line {self.line}: can't be read further: {error.strerror}")
        if not self._begun:
            self._begun = True
            if taken.startswith(_BOM):
                taken = taken[len(_BOM) :]
                self.bytes += len(_BOM)
        return taken
