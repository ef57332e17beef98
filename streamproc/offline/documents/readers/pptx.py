"""PowerPoint's PPTX: slides in their order, each with its title first and its notes last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from streamproc.offline.documents.document import Document
from streamproc.offline.documents.text_blocks import TextBlocks, on_one_line


def pptx_text(file: IO[bytes]) -> Document:
    """The text of shapes and tables, in the order in which they were made; not of charts."""
    from pptx import Presentation  # noqa: PLC0415  # of the documents extra

    blocks = TextBlocks()
    for slide in Presentation(file).slides:
        for shape in _shapes(slide.shapes):
            _add(blocks, shape)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            blocks.paragraph(_lines(slide.notes_slide.notes_text_frame))
    return Document(blocks.text())


def _shapes(shapes: Any) -> Iterator[Any]:
    """The shapes, the title before all others, and those of a group in the group's place."""
    title = shapes.title
    # Not told by their ids: programs give the same one to several.
    waiting = [*reversed([shape for shape in shapes if shape != title])]
    if title is not None:
        waiting.append(title)
    while waiting:
        shape = waiting.pop()
        inside = getattr(shape, "shapes", None)
        if inside is not None:
            waiting += reversed(list(inside))
        else:
            yield shape


def _add(blocks: TextBlocks, shape: Any) -> None:
    if shape.has_text_frame:
        blocks.paragraph(_lines(shape.text_frame))
    elif getattr(shape, "has_table", False):
        for row in shape.table.rows:
            # Of merged cells one has the text.
            blocks.table_row([on_one_line(cell.text) for cell in row.cells if not cell.is_spanned])


def _lines(frame: Any) -> str:
    """The paragraphs of a frame, each a line, as its points are."""
    lines = (paragraph.text.replace("\v", " ").strip() for paragraph in frame.paragraphs)
    return "\n".join(filter(None, lines))
