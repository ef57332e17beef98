"""Bytes to text: UTF-8 first, then what a byte order mark says, then what is detected."""

from __future__ import annotations

import codecs
import re

from streamproc.offline.documents.document import DocumentError
from streamproc.offline.documents.encoding_names import codec_called
from streamproc.offline.documents.signatures import NO_TEXT

# UTF-32's mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NO_TEXT_SEEN_BYTES = 8 << 10
# Encodings in which every byte is ASCII: that they are UTF-8 too says nothing.
_STATEFUL = ("iso-2022", "iso2022", "hz", "utf-7")
# What is in these has bytes of 0, and what says so byte by byte is not in these.
_WIDE = ("utf-16", "utf16", "utf-32", "utf32")
# Of the characters that are not ASCII, how many may be broken in a text that was cut or mixed: of
# one in another encoding nearly all are.
_MOST_BROKEN = 0.1
_REPLACEMENT = "\ufffd"
DETECTED_BYTES = 256 << 10
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
# What files come in that are not Unicode; of all encodings that there are, rare ones are found for
# a few accents in French.
_USUAL = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257"),
    *("koi8_r", "iso8859_2", "cp932", "euc_jp", "gb18030", "big5", "cp949"),
)
_AS_LIKELY = 0.02


def decoded(
    data: bytes, encoding: str | None, declared: str | None = None
) -> tuple[str, tuple[str, ...]]:
    """The text, without a byte order mark, and a warning where its encoding is a guess.

    encoding: the one to use; None: UTF-8, what is declared, or what is detected. A byte order mark
        counts for more
    declared: what the file itself says that it is
    Raises DocumentError where it is no text.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _strictly(data[len(mark) :], name), ()
    if encoding is not None:
        return _strictly(data, encoding), ()
    for sign, what in NO_TEXT.items():
        if data.startswith(sign):
            raise DocumentError(f"is {what}")
    declared = (declared or "").lower()
    if b"\0" in data[:_NO_TEXT_SEEN_BYTES]:
        wide = decoded_as(data, declared) if declared.startswith(_WIDE) else None
        if wide is None:
            raise DocumentError("is of no format that is read: a byte of 0 is in it, as in no text")
        return wide, ()
    declared = "" if declared.startswith(_WIDE) else declared
    stateful = declared.startswith(_STATEFUL) and data.isascii()
    for name in (declared, "utf-8") if stateful else ("utf-8", declared):
        text = decoded_as(data, name)
        found = (text, ()) if text is not None else _nearly(data, name) if stateful else None
        if found is not None:
            return found
    return _nearly(data, "utf-8") or _nearly(data, declared) or _detected(data)


def decoded_as(data: bytes, encoding: str) -> str | None:
    """The text, if it is in the encoding that a file calls so; None where it is not."""
    codec = codec_called(encoding)
    try:
        return None if codec is None else data.decode(codec)
    except ValueError:  # as those of Unicode are, too
        return None


def _nearly(data: bytes, encoding: str) -> tuple[str, tuple[str, ...]] | None:
    """The text if only a few bytes are not in that encoding, as where it is cut off; and that."""
    codec = codec_called(encoding)
    if codec is None:
        return None
    text = data.decode(codec, "replace")
    broken = text.count(_REPLACEMENT)
    if not broken or broken > _MOST_BROKEN * (len(text) - len(text.encode("ascii", "ignore"))):
        return None
    many = f"{broken} characters" if broken > 1 else "1 character"
    return text, (f"not {encoding.upper()} throughout: {many} can't be read",)


def _strictly(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DocumentError(f"is not {encoding} at byte {error.start}: {error.reason}") from None


def encoding_of(begin: bytes) -> str | None:
    """The encoding of a text of which this is the begin; None where that is UTF-8.

    Raises DocumentError where it is no text, ModuleNotFoundError where an extra is missing.
    """
    for mark, name in _MARKS:
        if begin.startswith(mark):
            # With the mark dropped, as these do.
            return None if mark == codecs.BOM_UTF8 else name[:6]
    try:
        codecs.getincrementaldecoder("utf-8")().decode(begin)
    except UnicodeDecodeError:
        encoding = _detected_encoding(_sample(begin))
        if encoding is None:
            raise DocumentError("is no text in any encoding that is known") from None
        return encoding
    return None


def _detected(data: bytes) -> tuple[str, tuple[str, ...]]:
    encoding = _detected_encoding(_sample(data))
    if encoding is None:
        raise DocumentError("is no text in any encoding that is known; --encoding names one")
    said = f"not UTF-8: read as {encoding}, which was detected (--encoding names another)"
    return data.decode(encoding, "replace"), (said,)


def _detected_encoding(sample: bytes) -> str | None:
    """The likeliest encoding; the usual one of Western Europe where others are as likely."""
    from charset_normalizer import from_bytes  # noqa: PLC0415  # of the documents extra

    matches = list(from_bytes(sample, cp_isolation=[*_USUAL]))
    if not matches:
        return None
    likely = [match for match in matches if match.coherence >= matches[0].coherence - _AS_LIKELY]
    western = sample.decode(_USUAL[0], "replace")
    return _USUAL[0] if western in map(str, likely) else likely[0].encoding


def _sample(data: bytes) -> bytes:
    """A part of a text that has bytes that are not ASCII."""
    found = _NOT_ASCII.search(data)
    start = found.start() if found and found.start() > DETECTED_BYTES // 2 else 0
    sample = data[start : start + DETECTED_BYTES]
    # A letter of several bytes may be cut in two at the end.
    end = max(sample.rfind(b"\n"), sample.rfind(b" "))
    return sample if len(sample) < DETECTED_BYTES or end < 0 else sample[:end]
