"""An e-mail: its subject and its text; what is attached to it is named, and not read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage, MIMEPart
from email.policy import EmailPolicy
from typing import Any

from streamproc.offline.documents.document import Document, DocumentError
from streamproc.offline.documents.encodings import decoded
from streamproc.offline.documents.readers.html import html_text
from streamproc.offline.documents.text_blocks import TextBlocks, on_one_line

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
    blocks, warnings, attached = TextBlocks(), list[str](), list[str]()
    blocks.paragraph(on_one_line(str(message["subject"] or "")))
    for part in _shown(message, attached):
        text, said = _text(part, encoding)
        blocks.paragraph(text)
        warnings += said
    if attached:
        names = ", ".join(attached[:_SHOWN_ATTACHMENTS])
        more = len(attached) - _SHOWN_ATTACHMENTS
        if not blocks.text():
            raise DocumentError(f"has no text, only attachments: {names}")
        warnings.append(f"attachments not read: {names}{f' and {more} more' if more > 0 else ''}")
    return Document(blocks.text(), tuple(warnings))


def _shown(part: MIMEPart, attached: list[str]) -> Iterator[MIMEPart]:
    """The parts that a mail program shows as text; the names of all others go into `attached`."""
    kind = part.get_content_type()
    if kind in {"multipart/alternative", "multipart/related"}:
        body = part.get_body(("plain", "html"))
        if body is not None:
            yield body
        attached += [_name(one) for one in part.iter_attachments() if one.is_attachment()]
    elif part.is_multipart() and kind.startswith("multipart/"):
        for one in part.iter_parts():
            yield from _shown(one, attached)
    elif kind in {"text/plain", "text/html"} and not part.is_attachment():
        yield part
    else:
        attached.append(_name(part))


def _text(part: MIMEPart, encoding: str | None) -> tuple[str, tuple[str, ...]]:
    payload = part.get_payload(decode=True)
    raw = payload if isinstance(payload, bytes) else b""
    text, warnings = decoded(raw, encoding, part.get_content_charset())
    if part.get_content_type() == "text/html":
        return html_text(text), warnings
    text = text.replace("\r\n", "\n")
    if part.get_param("format") == "flowed":
        text = _flowed(text)
    return text, warnings


def _flowed(text: str) -> str:
    """The text with lines joined that were only broken to be sent (RFC 3676)."""
    lines: list[str] = []
    open_line = False
    for line in _QUOTED_SPACE.sub("", text).split("\n"):
        if open_line and not line.startswith(">"):
            lines[-1] += line
        else:
            lines.append(line)
        # A signature begins with "-- ", which is no line to be joined.
        open_line = line.endswith(" ") and line != "-- "
    return "\n".join(line.rstrip(" ") for line in lines)


def _name(part: MIMEPart) -> str:
    return on_one_line(part.get_filename() or part.get_content_type())
