"""Bytes to text: UTF-8 first, then what a byte order mark says, then what is detected."""

from __future__ import annotations

import codecs

from streamproc.offline.documents.document import DocumentError

# UTF-32's mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NO_TEXT_SEEN_BYTES = 8 << 10
_DETECTED_BYTES = 1 << 20


def decoded(
    data: bytes, encoding: str | None, declared: str | None = None
) -> tuple[str, tuple[str, ...]]:
    """The text, without a byte order mark, and a warning where its encoding is a guess.

    encoding: the one to use; None: a byte order mark's, UTF-8, what is declared, what is detected
    declared: what the file itself says that it is
    Raises DocumentError where it is no text.
    """
    if encoding is not None:
        return _strictly(data, encoding), ()
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _strictly(data[len(mark) :], name), ()
    if b"\0" in data[:_NO_TEXT_SEEN_BYTES]:
        raise DocumentError("is no text: a byte of 0 is in it")
    try:
        return data.decode(), ()
    except UnicodeDecodeError:
        pass
    if declared is not None:
        try:
            return data.decode(declared), ()
        except (UnicodeDecodeError, LookupError, ValueError):
            pass
    return _detected(data)


def _strictly(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DocumentError(f"is not {encoding} at byte {error.start}: {error.reason}") from None


def _detected(data: bytes) -> tuple[str, tuple[str, ...]]:
    from charset_normalizer import from_bytes  # noqa: PLC0415  # of the documents extra

    best = from_bytes(data[:_DETECTED_BYTES]).best()
    if best is None:
        raise DocumentError("is no text in any known encoding; --encoding names one")
    text = data.decode(best.encoding, "replace").removeprefix("\ufeff")
    return text, (
        f"not UTF-8: read as {best.encoding}, which was detected (--encoding names another)",
    )
