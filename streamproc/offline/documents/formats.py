"""What a file holds: told by its name, else by how it begins."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import orjson

from streamproc.offline.documents.packing import PACKED_SUFFIXES
from streamproc.offline.documents.signatures import NO_TEXT, OLE, PARQUET, PDF, ZIP
from streamproc.offline.documents.source import Source
from streamproc.offline.documents.streams import OpenFile

RowFormat = Literal["jsonl", "json", "csv", "tsv", "text", "parquet"]
"""Of files that hold rows; `text` is one in each line."""
DocumentFormat = Literal["document", "markdown", "html", "pdf", "office", "email"]
"""Of files that are one text; `document` is plain text, `office` DOCX or PPTX."""
Format = Literal[RowFormat, DocumentFormat]
DOCUMENT_FORMATS: tuple[DocumentFormat, ...] = get_args(DocumentFormat)

_DOCUMENTS_BY_SUFFIX: dict[str, DocumentFormat] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".docx": "office",
    ".pptx": "office",
    ".eml": "email",
}
_DOCUMENTS_BY_BEGIN: dict[bytes, DocumentFormat] = {
    PDF: "pdf",
    ZIP: "office",
    OLE: "office",
}
_ROWS_BY_SUFFIX: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
}
_TEXT_SUFFIXES = (".txt", ".text")
_UTF_16 = (
    "UTF-16: convert it (iconv -f utf-16 -t utf-8), or give run and submit its encoding "
    "(--encoding utf-16)"
)
# How files begin that have no rows; what to do with them.
_NO_ROWS = {
    **NO_TEXT,
    ZIP: "a ZIP archive, as Excel files are: save it as CSV",
    b"\xff\xfe": _UTF_16,
    b"\xfe\xff": _UTF_16,
}
_COLUMN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_JSON_BEGIN = re.compile(rb'\{\s*(["}]|$)|\[\s*([\[{"\]\d-]|$)')


def binary_or_document(file: OpenFile, *, whole_texts: bool) -> Format | None:
    """The format of a document or of Parquet, by the file's name, else by how it begins.

    whole_texts: what is text is one document, rather than a text in each line
    None where it has rows of text, whose format `format_of` tells.
    """
    suffix = _suffix(file.path)
    if suffix in _DOCUMENTS_BY_SUFFIX:
        return _DOCUMENTS_BY_SUFFIX[suffix]
    if suffix in _ROWS_BY_SUFFIX or suffix == ".json":
        return "parquet" if suffix == ".parquet" else None
    begin = file.begin()
    if begin.startswith(PARQUET):
        return "parquet"
    for sign, form in _DOCUMENTS_BY_BEGIN.items():
        if begin.startswith(sign) and suffix not in _TEXT_SUFFIXES:
            return form
    return "document" if whole_texts else None


def format_of(source: Source, fields: Sequence[str]) -> Format:
    """The format of a file, by its name or by its first line.

    fields: names of columns that rows need, by which the names of columns are told from a text
    Raises DataFileError when it can't be told.
    """
    first, suffix = source.first_line(), _suffix(source.path)
    if suffix in _ROWS_BY_SUFFIX:
        return _ROWS_BY_SUFFIX[suffix]
    if suffix == ".json" or _JSON_BEGIN.match(first):
        return _json_format(first)
    if suffix in _TEXT_SUFFIXES:
        return "text"
    return _delimited_or_text(source, first, fields)


def require_text(source: Source) -> None:
    """Raise DataFileError for a file that is known by its first bytes to be no text in UTF-8."""
    first = source.first_line()
    for begin, what in _NO_ROWS.items():
        if first.startswith(begin):
            source.fail(f" is {what}")
    if b"\0" in first:
        source.fail(" is no text: a byte of 0 is in its first line")


def delimiter_of(first_line: bytes, form: Format) -> str:
    """What separates columns: of a CSV too it may be what its first line has instead of commas."""
    if form == "tsv" or (b"," not in first_line and b"\t" in first_line):
        return "\t"
    return ";" if b"," not in first_line and b";" in first_line else ","


def _suffix(path: Path) -> str:
    """The ending of a file's name, in small letters, without that of a packer."""
    plain = path.with_suffix("") if path.suffix.lower() in PACKED_SUFFIXES else path
    return plain.suffix.lower()


def _json_format(first: bytes) -> Format:
    try:
        return "jsonl" if isinstance(orjson.loads(first), dict) else "json"
    except orjson.JSONDecodeError:
        # An object that ends on its own line was meant as JSON Lines, however wrong it is.
        return "jsonl" if first.startswith(b"{") and first.endswith(b"}") else "json"


def _delimited_or_text(source: Source, first: bytes, fields: Sequence[str]) -> Format:
    line = first.decode("utf-8", "replace")
    for form, delimiter in (("tsv", "\t"), ("csv", ","), ("csv", ";")):
        cells = _cells(line, delimiter)
        if not set(fields) <= set(cells):
            if len(cells) > 1 and all(map(_COLUMN_NAME.fullmatch, cells)):
                source.fail(
                    f" may be {form.upper()} with the columns {', '.join(cells)}, or lines of "
                    f"text: say which with --format {form} or --format text, or by the file's name"
                )
            continue
        if len(cells) == 1:
            source.fail(
                f" may be CSV with one column, {cells[0]}, or lines of text: say which with "
                "--format csv or --format text, or by the file's name"
            )
        return form  # type: ignore[return-value]
    return "text"


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []
