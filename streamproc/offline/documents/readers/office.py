"""The ZIP archives of Office: which one it is, and whether it may be unpacked."""

from __future__ import annotations

import io
import zipfile

from streamproc.offline.documents.document import Document, DocumentError
from streamproc.offline.documents.readers.docx import docx_text
from streamproc.offline.documents.readers.pptx import pptx_text
from streamproc.offline.documents.signatures import OLE

# Of all parts of an archive together, unpacked, and of those that become trees many times larger.
MAX_UNPACKED_BYTES = 512 << 20
MAX_XML_BYTES = 64 << 20
MAX_PARTS = 20_000


def read_office(data: bytes, encoding: str | None) -> Document:
    """The text of a DOCX or a PPTX, as what is in it says; raises DocumentError."""
    del encoding  # XML says its own
    if data.startswith(OLE):
        raise DocumentError(
            "is encrypted, or of an Office before 2007: save it as DOCX or PPTX without a password"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise DocumentError(f"is no DOCX, PPTX or Excel file: {error}") from None
    names = {part.filename for part in parts}
    if "xl/workbook.xml" in names:
        raise DocumentError("is an Excel workbook: save it as CSV")
    _refuse_bomb(parts)
    if any(name.startswith("word/") for name in names):
        return docx_text(io.BytesIO(data))
    if any(name.startswith("ppt/") for name in names):
        return pptx_text(io.BytesIO(data))
    raise DocumentError("is a ZIP archive that is neither DOCX nor PPTX (save Excel files as CSV)")


def _refuse_bomb(parts: list[zipfile.ZipInfo]) -> None:
    """Raise DocumentError for what is too much; zipfile unpacks no more than is declared."""
    if any(part.flag_bits & 1 for part in parts):
        raise DocumentError("is encrypted: save it without a password")
    if len(parts) > MAX_PARTS:
        raise DocumentError(f"has more than {MAX_PARTS} parts")
    sizes = {False: 0, True: 0}
    for part in parts:
        sizes[part.filename.lower().endswith((".xml", ".rels"))] += part.file_size
    if sizes[True] > MAX_XML_BYTES:
        raise DocumentError(f"has more than {MAX_XML_BYTES >> 20} MiB of XML, unpacked")
    if sum(sizes.values()) > MAX_UNPACKED_BYTES:
        raise DocumentError(f"has more than {MAX_UNPACKED_BYTES >> 20} MiB, unpacked")
