"""Word's DOCX: paragraphs and tables in their order, text boxes and notes too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from streamproc.offline.documents.document import Document
from streamproc.offline.documents.text_blocks import TextBlocks, on_one_line

_NOTES = ("/footnotes", "/endnotes")
_BREAKS = {"tab": " ", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
# What was deleted or moved away, and what stands in where a text box can't be shown.
_LEFT_OUT = ("del", "moveFrom", "Fallback", "instrText")


def docx_text(file: IO[bytes]) -> Document:
    """The text as it would be printed, without headers and footers of pages, and comments."""
    import docx  # noqa: PLC0415  # of the documents extra

    opened = docx.Document(file)
    blocks = TextBlocks()
    _Body(blocks).read(opened.element.body)
    for relation in opened.part.rels.values():
        if relation.reltype.endswith(_NOTES) and not relation.is_external:
            _Body(blocks).read(_tree(relation.target_part.blob))
    return Document(blocks.text())


class _Body:
    """Walks through the elements of a document, and collects their text."""

    def __init__(self, blocks: TextBlocks) -> None:
        self._blocks = blocks
        # Paragraphs lie in text boxes that lie in paragraphs, and tables in cells of tables.
        self._paragraphs: list[list[str]] = []
        self._rows: list[list[str]] = []
        self._cells: list[list[str]] = []

    def read(self, root: Any) -> None:
        for happens, name, element in _walk(root):
            if happens == "start":
                self._start(name, element)
            else:
                self._end(name)

    def _start(self, name: str, element: Any) -> None:
        if name == "p":
            self._paragraphs.append([])
        elif name == "tr":
            self._rows.append([])
        elif name == "tc":
            self._cells.append([])
        elif self._paragraphs and name == "t":
            self._paragraphs[-1].append(element.text or "")
        elif self._paragraphs and name in _BREAKS:
            self._paragraphs[-1].append(_BREAKS[name])

    def _end(self, name: str) -> None:
        if name == "p" and self._paragraphs:
            text = "".join(self._paragraphs.pop())
            if self._cells:
                self._cells[-1].append(text)
            else:
                self._blocks.paragraph(text)
        elif name == "tc" and self._cells and self._rows:
            self._rows[-1].append("\n".join(filter(str.strip, self._cells.pop())))
        elif name == "tr" and self._rows:
            self._end_row(self._rows.pop())

    def _end_row(self, cells: list[str]) -> None:
        if self._cells:
            self._cells[-1] += cells
        elif len(cells) == 1:
            # A frame around text is a table of one cell.
            self._blocks.paragraph(cells[0])
        else:
            self._blocks.table_row([on_one_line(cell) for cell in cells])


def _walk(root: Any) -> Iterator[tuple[str, str, Any]]:
    """Each element as it starts and as it ends, with its name without the namespace."""
    from lxml import etree  # noqa: PLC0415

    walker = etree.iterwalk(root, events=("start", "end"))
    for happens, element in walker:
        name = etree.QName(element).localname if isinstance(element.tag, str) else ""
        if happens == "start" and name in _LEFT_OUT:
            walker.skip_subtree()
        else:
            yield happens, name, element


def _tree(xml: bytes) -> Any:
    from lxml import etree  # noqa: PLC0415

    return etree.fromstring(xml, etree.XMLParser(resolve_entities=False, no_network=True))
