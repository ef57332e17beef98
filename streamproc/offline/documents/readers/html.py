"""HTML, without what a browser does not show, and without what leads through a site."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from streamproc.offline.documents.document import Document, DocumentError
from streamproc.offline.documents.encodings import decoded
from streamproc.offline.documents.text_blocks import TextBlocks, on_one_line

_DECLARED = re.compile(
    rb"""<(?:\?xml\s[^>]{0,200}?encoding|meta\s[^>]{0,200}?charset)\s*=\s*["']?([\w.:-]{1,40})""",
    re.IGNORECASE,
)
_DECLARED_WITHIN_BYTES = 4096
_NOT_SHOWN = {
    *("head", "script", "style", "noscript", "template", "svg", "iframe", "object", "canvas"),
    *("audio", "video", "map", "datalist"),
}
_CHROME = {"nav", "header", "footer", "aside"}
_CHROME_ROLES = {"navigation", "banner", "contentinfo", "search"}
_CONTENT = {"main", "article"}
_LINES = {"li", "dt", "dd", "option", "tr"}
_PARAGRAPHS = {
    *("address", "article", "aside", "blockquote", "body", "caption", "center", "details"),
    *("dialog", "dir", "div", "dl", "fieldset", "figcaption", "figure", "footer", "form"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "legend", "main", "menu", "nav", "ol"),
    *("p", "pre", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "ul"),
}
_LISTS = {"ul", "ol", "dl", "menu", "dir", "select"}
_PREFORMATTED = {"pre", "textarea"}
# A line's end that a page asks for; and white space that stays as it is, until all other is gone.
_BREAK = "\0"
_KEPT = {ord(" "): "\1", ord("\n"): "\2", ord("\t"): "\3"}
_SHOWN = {ord(held): chr(shown) for shown, held in _KEPT.items()}
_UNSHOWN = dict.fromkeys(range(4), " ")
_BLANKS = re.compile(r"[ \t\r\n\f\xa0]+")
# A table that holds these lays out a page; its rows are no lines.
_LAYS_OUT = ("table", "h1", "h2", "h3", "ul", "ol")


def read_html(data: bytes, encoding: str | None) -> Document:
    """The text that a browser shows, but for menus and the like; raises DocumentError.

    The header, footer, navigation and asides of a page are left out, those of an article are not.
    """
    declared = _DECLARED.search(data[:_DECLARED_WITHIN_BYTES])
    text, warnings = decoded(data, encoding, declared[1].decode() if declared else None)
    return Document(html_text(text), warnings)


def html_text(text: str) -> str:
    """The text of HTML; nothing that it names is fetched. Raises DocumentError."""
    from lxml import etree  # noqa: PLC0415  # of the documents extra

    parser = etree.HTMLParser(
        encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=True
    )
    # What no page shows, and stands for something else below.
    root = etree.fromstring(text.translate(_UNSHOWN).encode("utf-8", "replace"), parser)
    if any("depth" in error.message.lower() for error in parser.error_log):
        raise DocumentError("is nested too deeply to be read")
    # What comes behind the end of a page, as a mail server adds it, is a tree beside that of it.
    return _Page().read([root, *root.itersiblings()]) if root is not None else ""


class _Page:
    """Walks through a page, and collects its text."""

    def __init__(self) -> None:
        self._blocks = TextBlocks()
        self._inline: list[str] = []
        # Of the innermost table that is one: the cells of the row so far.
        self._cells: list[str] | None = None
        self._preformatted = 0

    def read(self, trees: Iterable[Any]) -> str:
        for happens, element in chain.from_iterable(map(_walk, trees)):
            tag = element.tag
            if happens == "start":
                self._start(tag, element)
                self._preformatted += tag in _PREFORMATTED
                self._add(element.text or "")
            else:
                self._preformatted -= tag in _PREFORMATTED
                self._end(tag)
                self._add(element.tail or "")
        self._flush()
        return self._blocks.text()

    def _start(self, tag: str, element: Any) -> None:
        if tag == "table" and next(element.iterdescendants(*_LAYS_OUT), None) is None:
            self._flush()
            self._cells = []
        elif self._cells is not None:
            self._inline.append(" " if tag in _PARAGRAPHS or tag in _LINES else "")
        elif tag in _PARAGRAPHS or tag in _LINES:
            self._flush()
        if tag == "br":
            self._inline.append(_BREAK)

    def _end(self, tag: str) -> None:
        if self._cells is None:
            if tag in _PARAGRAPHS or tag in _LINES:
                self._flush(line=tag in _LINES)
            if tag in _LISTS:
                self._blocks.end_lines()
        elif tag in {"td", "th"}:
            self._cells.append(self._cell())
        elif tag in {"tr", "caption", "table"}:
            outside = self._cell()
            self._blocks.table_row([*self._cells, outside] if outside else self._cells)
            self._cells = []
            if tag == "table":
                self._cells = None
                self._blocks.end_lines()

    def _add(self, text: str) -> None:
        if self._preformatted:
            self._inline.append(text.translate(_KEPT))
        elif text:
            self._inline.append(_BLANKS.sub(" ", text))

    def _cell(self) -> str:
        text = on_one_line("".join(self._inline).replace(_BREAK, " ").translate(_SHOWN))
        self._inline.clear()
        return text

    def _flush(self, *, line: bool = False) -> None:
        text = re.sub(f" *{_BREAK} *", "\n", re.sub(" {2,}", " ", "".join(self._inline)))
        self._inline.clear()
        if line:
            self._blocks.line(text.translate(_SHOWN))
        else:
            self._blocks.paragraph(text.translate(_SHOWN))


def _walk(root: Any) -> Iterator[tuple[str, Any]]:
    """Each element that is read, as it starts and as it ends; not by recursion."""
    from lxml import etree  # noqa: PLC0415

    walker = etree.iterwalk(root, events=("start", "end"))
    contents = 0
    left_out = None
    for happens, element in walker:
        if element is left_out:
            # Its tail is text of what is around it.
            left_out = None
            yield happens, element
            continue
        if happens == "start" and _is_left_out(element, inside_content=contents > 0):
            walker.skip_subtree()
            element.text, left_out = None, element
            yield happens, element
            continue
        if element.tag in _CONTENT:
            contents += 1 if happens == "start" else -1
        yield happens, element


def _is_left_out(element: Any, *, inside_content: bool) -> bool:
    if element.tag in _NOT_SHOWN or "hidden" in element.attrib:
        return True
    role = element.get("role", "").lower()
    chrome = element.tag in _CHROME or role in _CHROME_ROLES
    return chrome and (not inside_content or element.tag == "nav" or role == "navigation")
