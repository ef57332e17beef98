"""Rows out of one JSON array, or of objects one after another, however they are laid out.

An element is cut out of the bytes without being read: strings are skipped as a whole, brackets are
counted. Whether it is JSON is for whoever reads it, so that one bad element costs no other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NoReturn

from streamproc.offline.documents.row import DataRow, json_row
from streamproc.offline.documents.source import MAX_ROW_BYTES, PIECE_BYTES, Source

_BLANK = re.compile(rb"[ \t\r\n]*")
# A whole string, or a bracket. A quote alone opens a string whose end is not there yet.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["\[\]{}]', re.DOTALL)
_SCALAR = re.compile(rb"[^ \t\r\n,\[\]{}]+")


def json_rows(source: Source) -> Iterator[DataRow]:
    """The rows in a file's order; memory holds one element.

    Raises DataFileError where what is around the elements is not JSON.
    """
    for number, (element, line, begins) in enumerate(_elements(_Scanner(source)), 1):
        row = json_row(element, line, number)
        if row.fault:
            source.require_utf8(element, begins, line)
        yield row


def _elements(text: _Scanner) -> Iterator[tuple[bytes, int, int]]:
    """Each element, the line and the byte of the file that it begins at."""
    array = text.next_sign() == b"["
    if array:
        text.at += 1
    while sign := text.next_sign():
        if sign == b"]" and array:
            text.at += 1
            if text.next_sign():
                text.fail("something follows the end of the array")
            return
        if not array and sign != b"{":
            text.fail("neither a JSON array nor JSON objects; --format text reads lines of text")
        line, begins = text.line, text.begins
        yield text.element(), line, begins
        if array and text.next_sign() == b",":
            text.at += 1
            if text.next_sign() == b"]":
                text.fail("the array ends with a comma")
        elif array and text.next_sign() != b"]":
            text.fail("no comma between two elements" if text.next_sign() else "the array has no ]")
    if array:
        text.fail("the array has no ]")


class _Scanner:
    """A source's bytes, of which those are held that were not given out.

    at:     the place in what is held
    line:   of that place
    """

    def __init__(self, source: Source) -> None:
        self._source, self._held = source, bytearray()
        self.at, self.line = 0, 1

    @property
    def begins(self) -> int:
        """The byte of the file at that place."""
        return self._source.bytes - len(self._held) + self.at

    def next_sign(self) -> bytes:
        """The next byte that is not blank, which stays; b"" at the end of the file."""
        while True:
            blank = _BLANK.match(self._held, self.at)
            end = blank.end() if blank else self.at
            self.line += self._held.count(b"\n", self.at, end)
            self.at = end
            if self.at < len(self._held):
                return bytes(self._held[self.at : self.at + 1])
            if not self._more():
                return b""

    def element(self) -> bytes:
        """The value at that place, as it is written."""
        while (end := _end_of_value(self._held, self.at)) is None:
            self._refuse_length(len(self._held) - self.at)
            if not self._more():
                self.fail("what begins here has no end")
        self._refuse_length(end - self.at)
        written = bytes(self._held[self.at : end])
        self.at = end
        self.line += written.count(b"\n")
        return written

    def fail(self, why: str) -> NoReturn:
        """Raise DataFileError, naming file and line."""
        self._source.fail(f", line {self.line}: {why}")

    def _refuse_length(self, length: int) -> None:
        if length > MAX_ROW_BYTES:
            self.fail(f"an element of more than {MAX_ROW_BYTES} bytes")

    def _more(self) -> bool:
        del self._held[: self.at]
        self.at = 0
        self._source.line = self.line
        # What is held is searched from its begin again: twice as much each time, it costs little.
        piece = self._source.piece(max(PIECE_BYTES, len(self._held)))
        self._held += piece
        return bool(piece)


def _end_of_value(held: bytearray, at: int) -> int | None:
    """Where the value that begins at `at` ends; None where its end is not there yet."""
    if bytes(held[at : at + 1]) not in (b"{", b"[", b'"'):
        scalar = _SCALAR.match(held, at)
        end = scalar.end() if scalar else at + 1
        return end if end < len(held) else None
    depth = 0
    for token in _TOKEN.finditer(held, at):
        sign = token.group()
        if sign == b'"':
            return None
        depth += (sign in (b"{", b"[")) - (sign in (b"}", b"]"))
        if depth == 0:
            return token.end()
    return None
