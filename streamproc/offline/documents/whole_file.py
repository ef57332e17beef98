"""A file that is one document, read as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from streamproc.errors import DataFileError, SettingsError
from streamproc.offline.documents.document import Document, DocumentError, DocumentReader
from streamproc.offline.documents.extras import needs_extra
from streamproc.offline.documents.formats import DocumentFormat
from streamproc.offline.documents.readers.html import read_html
from streamproc.offline.documents.readers.mail import read_mail
from streamproc.offline.documents.readers.markdown import read_markdown
from streamproc.offline.documents.readers.office import read_office
from streamproc.offline.documents.readers.pdf import read_pdf
from streamproc.offline.documents.readers.plain_text import read_plain_text
from streamproc.offline.documents.row import DataRow
from streamproc.offline.documents.source import MAX_ROW_BYTES
from streamproc.offline.documents.streams import OpenFile
from streamproc.offline.documents.transcoding import DETECT

# Of a document's file, unpacked: it is held in memory as a whole, and may come from anybody.
MAX_DOCUMENT_BYTES = 256 << 20

READERS: dict[DocumentFormat, DocumentReader] = {
    "document": read_plain_text,
    "markdown": read_markdown,
    "html": read_html,
    "pdf": read_pdf,
    "office": read_office,
    "email": read_mail,
}
"""By format."""
ReadDocument = Callable[[DocumentFormat, bytes, str | None], Document]
_SAID_CHARACTERS = 500


def read_document(form: DocumentFormat, data: bytes, encoding: str | None) -> Document:
    """The text in a file's bytes; raises DocumentError, ModuleNotFoundError for a missing extra."""
    try:
        document = READERS[form](data, encoding)
    except (DocumentError, ModuleNotFoundError):
        raise
    except MemoryError:
        raise DocumentError("needs more memory to be read than a document may have") from None
    except Exception as error:  # noqa: BLE001 - made to do harm, it makes a library raise anything
        raise DocumentError(f"can't be read as {form}: {error!r}"[:_SAID_CHARACTERS]) from None
    if not document.text.strip():
        raise DocumentError("has no text")
    if len(document.text) > MAX_ROW_BYTES:
        raise DocumentError(f"has more than {MAX_ROW_BYTES} characters of text")
    # Half of a surrogate pair, as some files have it, is no text.
    text = document.text.encode("utf-8", "replace").decode()
    return Document(text, document.warnings)


def document_rows(
    file: OpenFile,
    form: DocumentFormat,
    encoding: str | None,
    read: ReadDocument = read_document,
) -> Iterator[DataRow]:
    """The one row of a document, whose field is `text`.

    read: as `read_document` does
    Raises DataFileError, and SettingsError where an extra is missing.
    """
    data = _whole(file)
    try:
        document = read(form, data, None if encoding == DETECT else encoding)
    except DocumentError as error:
        raise DataFileError(f"{file.name} {error}") from None
    except ModuleNotFoundError as missing:
        raise SettingsError(needs_extra(file.name, missing)) from None
    yield DataRow(1, 1, {"text": document.text}, warnings=document.warnings)


def _whole(file: OpenFile) -> bytes:
    data = file.read(MAX_DOCUMENT_BYTES + 1)
    if not data:
        raise DataFileError(f"{file.name} is empty")
    if len(data) > MAX_DOCUMENT_BYTES:
        packed = ", unpacked" if file.is_packed else ""
        raise DataFileError(f"{file.name} has more than {MAX_DOCUMENT_BYTES >> 20} MiB{packed}")
    return data
