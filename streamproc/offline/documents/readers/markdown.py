"""Markdown, as the text that it shows."""

from __future__ import annotations

import re

from streamproc.offline.documents.document import Document, DocumentError
from streamproc.offline.documents.encodings import decoded
from streamproc.offline.documents.readers.html import html_text

# A name and a colon in its first line tell it from text between two rules.
_FRONT_MATTER = re.compile(
    r"\A---[ \t]*\n(?=[^\s:][^\n:]*:[ \n]).*?\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL
)
# What is nested deeper than that, markdown-it leaves out, and says nothing; of its own accord 20.
_MAX_NESTING = 1_000


def read_markdown(data: bytes, encoding: str | None) -> Document:
    """The text without signs, addresses of links and front matter; raises DocumentError."""
    from markdown_it import MarkdownIt  # noqa: PLC0415  # rich brings it

    text, warnings = decoded(data, encoding)
    text = _FRONT_MATTER.sub("", text.replace("\r\n", "\n"))
    parser = MarkdownIt("commonmark", {"maxNesting": _MAX_NESTING})
    try:
        shown = parser.enable(["table", "strikethrough"]).render(text)
    except RecursionError:
        raise DocumentError("is nested too deeply to be read") from None
    return Document(html_text(f"<article>{shown}</article>"), warnings)
