"""Small documents of every format that is read, made of a few paragraphs."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import NamedTuple

from streamproc.offline.documents.file import open_data_file
from streamproc.offline.documents.row import DataRow

PROTECTED = (
    b"/Encrypt << /Filter /Standard /V 1 /R 2 /P -44 /O <%b> /U <%b> >> /ID [<00> <00>] "
    % (
        b"ab" * 32,
        b"cd" * 32,
    )
)
"""What a PDF's trailer has that a password protects."""


_FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"


class Placed(NamedTuple):
    """A line of a page, in points from the left and from the bottom."""

    x: float
    y: float
    text: str
    size: float = 11


def read(folder: Path, name: str, content: bytes, encoding: str | None = None) -> DataRow:
    """What is read of a document of that name and content, which becomes one row."""
    path = folder / name
    path.write_bytes(content)
    with open_data_file(path, encoding=encoding, whole_texts=True) as file:
        (row,) = file.rows()
    return row


def pdf(*pages: Sequence[Placed], trailer: bytes = b"") -> bytes:
    """A PDF whose lines stand where they are put."""
    objects = [_FONT, b""]
    kids = []
    for page in pages:
        objects += [_stream(b"".join(map(_shown, page))), _page(len(objects) + 1)]
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%b] >>" % (len(kids), b" ".join(kids))
    objects.append(b"<< /Type /Catalog /Pages 2 0 R >>")
    return _pdf(objects, trailer)


def pdf_form(page: Sequence[Placed], value: Placed, flags: int) -> bytes:
    """A PDF of one page with a field in which that value was filled in, and not drawn yet."""
    fonts = b"<< /Font << /F1 1 0 R >> >>"
    place = b"%g %g %g %g" % (value.x, value.y, value.x + 200, value.y + 20)
    return _pdf(
        [
            _FONT,
            b"<< /Type /Pages /Count 1 /Kids [4 0 R] >>",
            _stream(b"".join(map(_shown, page))),
            _page(3, b"/Annots [5 0 R] "),
            b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (field) /V (%b) /DA (/F1 %g Tf) /F %d "
            b"/Rect [%b] /P 4 0 R >>" % (value.text.encode(), value.size, flags, place),
            b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [5 0 R] /DR %b >> >>" % fonts,
        ]
    )


def _stream(content: bytes) -> bytes:
    return b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content)


def _page(contents: int, more: bytes = b"") -> bytes:
    return (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] "
        b"/Resources << /Font << /F1 1 0 R >> >> /Contents %d 0 R %b>>" % (contents, more)
    )


def _pdf(objects: Sequence[bytes], trailer: bytes = b"") -> bytes:
    """objects: numbered from 1, of which the last is the catalog"""
    made, places = bytearray(b"%PDF-1.4\n"), list[int]()
    for number, written in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%b\nendobj\n" % (number, written)
    start = len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    made += b"".join(b"%010d 00000 n \n" % place for place in places)
    made += b"trailer << /Size %d /Root %d 0 R %b>>\nstartxref\n%d\n%%%%EOF" % (
        *(len(objects) + 1, len(objects), trailer),
        start,
    )
    return bytes(made)


def pdf_of(paragraphs: Sequence[str]) -> bytes:
    """A PDF of short paragraphs."""
    return pdf([Placed(72, 760 - 40 * n, text) for n, text in enumerate(paragraphs)])


def docx_of(paragraphs: Sequence[str]) -> bytes:
    import docx

    document = docx.Document()
    for text in paragraphs:
        document.add_paragraph(text)
    return _saved(document.save)


def pptx_of(paragraphs: Sequence[str]) -> bytes:
    from pptx import Presentation

    presentation = Presentation()
    for text in paragraphs:
        slide = presentation.slides.add_slide(presentation.slide_layouts[5])
        assert slide.shapes.title is not None
        slide.shapes.title.text = text
    return _saved(presentation.save)


def email_of(paragraphs: Sequence[str]) -> bytes:
    message = EmailMessage()
    message["Subject"] = paragraphs[0]
    message["From"] = "somebody@example.org"
    message.set_content("\n\n".join(paragraphs[1:]) + "\n")
    return message.as_bytes()


def html_of(paragraphs: Sequence[str]) -> bytes:
    body = "".join(f"<p>{text}</p>" for text in paragraphs)
    return f"<!doctype html><title>not this</title><nav>not this</nav>{body}".encode()


def text_of(paragraphs: Sequence[str]) -> bytes:
    return "\n\n".join(paragraphs).encode()


MADE_BY: dict[str, Callable[[Sequence[str]], bytes]] = {
    ".txt": text_of,
    ".md": text_of,
    ".html": html_of,
    ".pdf": pdf_of,
    ".docx": docx_of,
    ".pptx": pptx_of,
    ".eml": email_of,
}
"""By the ending of a file's name, what makes a document of paragraphs."""


def with_part(archive: bytes, name: str, content: bytes) -> bytes:
    """A ZIP archive, with one part more, or another in the place of one."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(made, "w") as new:
        for part in old.infolist():
            if part.filename != name:
                new.writestr(part, old.read(part))
        new.writestr(name, content, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def _shown(line: Placed) -> bytes:
    written = line.text.encode("cp1252").replace(b"(", b"\\(").replace(b")", b"\\)")
    return b"BT /F1 %g Tf %g %g Td (%b) Tj ET\n" % (line.size, line.x, line.y, written)


def _saved(save: Callable[[io.BytesIO], None]) -> bytes:
    made = io.BytesIO()
    save(made)
    return made.getvalue()
