"""A file that is one document, read as a whole."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator

from streamproc.errors import DataFileError, SettingsError
from streamproc.offline.documents.document import DocumentError, DocumentReader
from streamproc.offline.documents.readers.plain_text import read_plain_text
from streamproc.offline.documents.row import DataRow
from streamproc.offline.documents.source import MAX_ROW_BYTES
from streamproc.offline.documents.streams import OpenFile

# Of a document's file, unpacked: it is held in memory as a whole, and may come from anybody.
MAX_DOCUMENT_BYTES = 256 << 20

READERS: dict[str, DocumentReader] = {
    "document": read_plain_text,
}
"""By format."""


def document_rows(file: OpenFile, form: str, encoding: str | None) -> Iterator[DataRow]:
    """The one row of a document, whose field is `text`; raises DataFileError, SettingsError."""
    data = _whole(file)
    try:
        document = READERS[form](data, encoding)
    except DocumentError as error:
        raise DataFileError(f"{file.name} {error}") from None
    except ModuleNotFoundError as missing:
        raise SettingsError(
            f"reading {file.name} needs {missing.name}, which is not installed: pip install "
            '"streamproc[documents]"'
        ) from None
    if not document.text.strip():
        raise DataFileError(f"{file.name} has no text")
    if len(document.text) > MAX_ROW_BYTES:
        raise DataFileError(f"{file.name} has more than {MAX_ROW_BYTES} characters of text")
    yield DataRow(1, 1, {"text": document.text}, warnings=document.warnings)


def _whole(file: OpenFile) -> bytes:
    try:
        data = file.unpacked.read(MAX_DOCUMENT_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataFileError(f"{file.name}: broken gzip: {error}") from None
    except OSError as error:
        raise DataFileError(f"can't read {file.name}: {error.strerror}") from None
    if not data:
        raise DataFileError(f"{file.name} is empty")
    if len(data) > MAX_DOCUMENT_BYTES:
        raise DataFileError(f"{file.name} has more than {MAX_DOCUMENT_BYTES >> 20} MiB, unpacked")
    return data
