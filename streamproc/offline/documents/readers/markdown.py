"""Markdown, as the text that it shows."""

from __future__ import annotations

import re

from streamproc.offline.documents.document import Document
from streamproc.offline.documents.encodings import decoded
from streamproc.offline.documents.readers.html import html_text

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n.*?\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)


def read_markdown(data: bytes, encoding: str | None) -> Document:
    """The text without signs, addresses of links and front matter; raises DocumentError."""
    from markdown_it import MarkdownIt  # noqa: PLC0415  # rich brings it

    text, warnings = decoded(data, encoding)
    text = _FRONT_MATTER.sub("", text.replace("\r\n", "\n"))
    shown = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)
    return Document(html_text(f"<article>{shown}</article>"), warnings)
