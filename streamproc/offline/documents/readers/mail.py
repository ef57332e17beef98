"""An e-mail: its subject and its text; what is attached to it is named, and not read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from email import message_from_bytes
from email.message import EmailMessage, MIMEPart
from email.policy import EmailPolicy
from typing import Any

from streamproc.offline.documents.document import Document, DocumentError
from streamproc.offline.documents.encodings import decoded, decoded_as
from streamproc.offline.documents.readers.html import html_text, read_html
from streamproc.offline.documents.text_blocks import TextBlocks, on_one_line

_BLANK_BYTES = b" \t\r\n\xa0\xc2"
_RAW_BYTE = re.compile("[\udc80-\udcff]")
_QUOTED_SPACE = re.compile(r"(?m)^ (?=[> ]|From )")
_SHOWN_ATTACHMENTS = 20
# The parser of headers takes time that grows with the square of their words. Real ones have some
# hundred characters.
_HEADER_CHARACTERS = 16_384


class _ShortHeaders(EmailPolicy):
    """Reads as much of a header as a mail program would show."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        return super().header_fetch_parse(name, value[:_HEADER_CHARACTERS])


_POLICY = _ShortHeaders(message_factory=EmailMessage)


def read_mail(data: bytes, encoding: str | None) -> Document:
    """The subject, then what is text in it, plain or else HTML; raises DocumentError."""
    message = message_from_bytes(data, policy=_POLICY)
    assert isinstance(message, EmailMessage)  # noqa: S101 - as the policy makes them
    if not message.keys():
        raise DocumentError("is no e-mail: it has no header")
    blocks, attached = TextBlocks(), list[str]()
    shown = list(_shown(message, attached))
    subject = _subject(message, encoding, shown)
    blocks.paragraph(on_one_line(subject.text))
    warnings = list(subject.warnings)
    for part in shown:
        document = _text(part, encoding)
        blocks.paragraph(document.text)
        warnings += document.warnings
    if attached:
        names = ", ".join(attached[:_SHOWN_ATTACHMENTS])
        more = len(attached) - _SHOWN_ATTACHMENTS
        if not blocks.text():
            raise DocumentError(f"has no text, only attachments: {names}")
        warnings.append(f"attachments not read: {names}{f' and {more} more' if more > 0 else ''}")
    return Document(blocks.text(), tuple(warnings))


def _subject(message: EmailMessage, encoding: str | None, shown: list[MIMEPart]) -> Document:
    written = next((value for name, value in message.raw_items() if name.lower() == "subject"), "")
    if _RAW_BYTE.search(written):
        # Bytes that are not ASCII, as no standard has them, are in the encoding of the text below.
        charset = shown[0].get_content_charset() if shown else None
        raw = written[:_HEADER_CHARACTERS].encode("utf-8", "surrogateescape")
        with suppress(DocumentError):
            return Document(*decoded(raw, encoding, charset))
    return Document(str(message["subject"] or ""))


def _shown(part: MIMEPart, attached: list[str]) -> Iterator[MIMEPart]:
    """The parts that a mail program shows as text; the names of all others go into `attached`."""
    kind = part.get_content_type()
    if kind == "multipart/alternative":
        versions = []
        for one in part.iter_parts():
            names = list[str]()
            versions.append(list(_shown(one, names)))
            # What is not attached is one more form of the same, as of an invitation.
            attached += names if one.is_multipart() or one.is_attachment() else ()
        yield from min(filter(None, versions), key=_rank, default=())
    elif kind == "multipart/related":
        root, others = _related(part)
        attached += [_name(one) for one in others if one.is_attachment()]
        yield from () if root is None else _shown(root, attached)
    elif part.is_multipart() and kind.startswith("multipart/"):
        for one in part.iter_parts():
            yield from _shown(one, attached)
    elif kind in {"text/plain", "text/html"} and not part.is_attachment():
        yield part
    else:
        attached.append(_name(part))


def _rank(version: list[MIMEPart]) -> int:
    """Plain text before all others, unless there is nothing in it, as some programs send it."""
    if any(part.get_content_type() == "text/html" for part in version):
        return 1
    return 0 if any(_payload(part).strip(_BLANK_BYTES) for part in version) else 2


def _related(part: MIMEPart) -> tuple[MIMEPart | None, list[MIMEPart]]:
    """What is shown, and what is shown inside of that, as its pictures."""
    parts = list(part.iter_parts())
    start = part.get_param("start")
    root = next((one for one in parts if start and one["content-id"] == start), None)
    root = root or next(iter(parts), None)
    return root, [one for one in parts if one is not root]


def _payload(part: MIMEPart) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text(part: MIMEPart, encoding: str | None) -> Document:
    raw, charset = _payload(part), part.get_content_charset()
    is_html = part.get_content_type() == "text/html"
    if charset is None and is_html:
        return read_html(raw, encoding)
    # Parts have encodings of their own, so that what is asked for is for those that don't say any.
    if charset not in {None, "us-ascii"} and decoded_as(raw, charset) is not None:
        encoding = None
    text, warnings = decoded(raw, encoding, charset)
    if is_html:
        return Document(html_text(text), warnings)
    text = text.replace("\r\n", "\n")
    if str(part.get_param("format")).lower() == "flowed":
        text = _flowed(text, keep_space=str(part.get_param("delsp")).lower() != "yes")
    return Document(text, warnings)


def _flowed(text: str, *, keep_space: bool) -> str:
    """The text with lines joined that were only broken to be sent (RFC 3676).

    keep_space: the blank at a line's end was there before, as between words of most languages
    """
    lines: list[str] = []
    open_line = False
    for line in _QUOTED_SPACE.sub("", text).split("\n"):
        quoted = line.startswith(">")
        if open_line and not quoted:
            lines[-1] = (lines[-1] if keep_space else lines[-1][:-1]) + line
        else:
            lines.append(line)
        # A signature begins with "-- ", which is no line to be joined; and an answer is not part of
        # what is quoted above it.
        open_line = line.endswith(" ") and line != "-- " and not quoted
    return "\n".join(line.rstrip(" ") for line in lines)


def _name(part: MIMEPart) -> str:
    return on_one_line(part.get_filename() or part.get_content_type())
