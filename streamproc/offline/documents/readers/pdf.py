"""PDF: the text of its pages, in the order in which it was set."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from streamproc.offline.documents.document import Document, DocumentError
from streamproc.offline.documents.page_lines import PageLine, paragraphs
from streamproc.offline.documents.text_blocks import on_one_line

MAX_PAGES = 20_000
MAX_CHARACTERS = 64 << 20
_SIGNATURE_WITHIN_BYTES = 1024
# In heights of the line: what lies between words of two columns.
_COLUMN_GAP = 1.2
# PDFium has one of these for a hyphen at the end of a line, together with the line's end.
_HYPHENS = ("\x02", "\ufffe")
_LINE = re.compile(r"[^\r\n\x02\ufffe]+")
_WORD = re.compile(r"\S+")


def read_pdf(data: bytes, encoding: str | None) -> Document:
    """The text, paragraphs as lines lie on a page, then what its form fields hold.

    What is drawn, or was scanned, is no text.
    Raises DocumentError.
    """
    del encoding  # PDF says its own
    import pypdfium2 as pdfium  # noqa: PLC0415  # of the documents extra
    import pypdfium2.raw as pdfium_c  # noqa: PLC0415

    if b"%PDF-" not in data[:_SIGNATURE_WITHIN_BYTES]:
        raise DocumentError("is no PDF")
    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if error.err_code == pdfium_c.FPDF_ERR_PASSWORD:
            raise DocumentError("is protected by a password: save it without one") from None
        raise DocumentError(f"is a broken PDF: {error}") from None
    with document:
        if len(document) > MAX_PAGES:
            raise DocumentError(f"has more than {MAX_PAGES} pages")
        if document.get_formtype() != pdfium_c.FORMTYPE_NONE:
            # So that there is something to see of a field that no program has drawn yet.
            document.init_forms()
        return _text(document, pdfium.PdfiumError)


def _text(document: Any, page_error: type[Exception]) -> Document:
    lines: list[PageLine] = []
    characters, unread = 0, []
    for number in range(len(document)):
        try:
            for line in _page_lines(document, number):
                lines.append(line)
                characters += len(line.text)
        except page_error:
            unread.append(str(number + 1))
        if characters > MAX_CHARACTERS:
            raise DocumentError(f"has more than {MAX_CHARACTERS} characters of text")
    pages = f"{len(document)} page{'s' if len(document) > 1 else ''}"
    if len(unread) == len(document):
        raise DocumentError(f"is a broken PDF: none of its {pages} can be read")
    if not lines:
        raise DocumentError(
            f"has no text in its {pages}, as scanned pages have none: run OCR (such as ocrmypdf) "
            "on it first"
        )
    warnings = (f"pages that can't be read: {', '.join(unread)}",) if unread else ()
    return Document("\n\n".join(paragraphs(lines)), warnings)


def _page_lines(document: Any, number: int) -> Iterator[PageLine]:
    page = _filled_in(document, number)
    textpage = page.get_textpage()
    try:
        text = _characters(textpage)
        for found in _LINE.finditer(text):
            yield from _line(
                found, _Boxes(textpage), hyphen=text[found.end() : found.end() + 1] in _HYPHENS
            )
    finally:
        textpage.close()
        page.close()


def _filled_in(document: Any, number: int) -> Any:
    """A page on which is written what was filled in, or noted, in fields that lie upon it."""
    import pypdfium2.raw as pdfium_c  # noqa: PLC0415

    page = document[number]
    written = (pdfium_c.FPDF_ANNOT_WIDGET, pdfium_c.FPDF_ANNOT_FREETEXT)
    for index in range(pdfium_c.FPDFPage_GetAnnotCount(page)):
        note = pdfium_c.FPDFPage_GetAnnot(page, index)
        kind = pdfium_c.FPDFAnnot_GetSubtype(note)
        pdfium_c.FPDFPage_CloseAnnot(note)
        if kind in written:
            pdfium_c.FPDFPage_Flatten(page, pdfium_c.FLAT_NORMALDISPLAY)
            page.close()
            return document[number]
    return page


def _characters(textpage: Any) -> str:
    """A page's text, a character of it for each that PDFium counts."""
    import pypdfium2.raw as pdfium_c  # noqa: PLC0415

    text: str = textpage.get_text_range()
    count = textpage.count_chars()
    if len(text) == count:
        return text
    codes = (pdfium_c.FPDFText_GetUnicode(textpage, index) for index in range(count))
    return "".join(chr(code) if code else " " for code in codes)


def _line(found: re.Match[str], boxes: _Boxes, *, hyphen: bool) -> Iterator[PageLine]:
    """The line, unless there is nothing in it."""
    words = [
        (boxes.of(word.start()), boxes.of(word.end() - 1))
        for word in _WORD.finditer(found.string, *found.span())
    ]
    if not words:
        return
    height = max(first.top - first.bottom for first, _ in words)
    gaps = (after[0].left - before[1].right for before, after in pairwise(words))
    text = found[0].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    yield PageLine(
        on_one_line(text),
        left=min(first.left for first, _ in words),
        right=max(last.right for _, last in words),
        top=max(first.top for first, _ in words),
        bottom=min(first.bottom for first, _ in words),
        columns=any(gap > _COLUMN_GAP * height for gap in gaps),
        hyphen=hyphen,
    )


class _Boxes:
    """The boxes of a page's characters, of the height that their fonts have."""

    def __init__(self, textpage: Any) -> None:
        import pypdfium2.raw as pdfium_c  # noqa: PLC0415

        self._textpage, self._pdfium_c = textpage, pdfium_c

    def of(self, index: int) -> Any:
        """With `left`, `right`, `top` and `bottom`, which are 0 where there is none."""
        box = self._pdfium_c.FS_RECTF()
        self._pdfium_c.FPDFText_GetLooseCharBox(self._textpage, index, ctypes.byref(box))
        return box
