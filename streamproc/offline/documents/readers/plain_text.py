"""Text as it is."""

from __future__ import annotations

from streamproc.offline.documents.document import Document
from streamproc.offline.documents.encodings import decoded


def read_plain_text(data: bytes, encoding: str | None) -> Document:
    """The text, with line breaks as `\\n`; raises DocumentError."""
    text, warnings = decoded(data, encoding)
    return Document(text.replace("\r\n", "\n").replace("\r", "\n"), warnings)
