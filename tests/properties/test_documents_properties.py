"""Whatever a text is, and in whatever it is kept: it is read as it was written."""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import orjson
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from streamproc.errors import DataFileError
from streamproc.offline.documents.document import DocumentError
from streamproc.offline.documents.file import open_data_file
from streamproc.offline.documents.page_lines import PageLine, paragraphs
from streamproc.offline.documents.readers.html import html_text
from streamproc.offline.documents.readers.mail import read_mail
from streamproc.offline.documents.readers.markdown import read_markdown
from streamproc.offline.documents.whole_file import READERS

# A byte of 0 is what tells binary files from text.
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)


def csv_of(texts: list[str]) -> bytes:
    made = io.StringIO(newline="")
    csv.writer(made).writerows([["text", "n"], *([text, str(n)] for n, text in enumerate(texts))])
    return made.getvalue().encode()


def parquet_of(texts: list[str]) -> bytes:
    made = io.BytesIO()
    parquet.write_table(pyarrow.table({"text": pyarrow.array(texts, pyarrow.string())}), made)
    return made.getvalue()


WRITTEN: dict[str, Callable[[list[str]], bytes]] = {
    ".csv": csv_of,
    ".jsonl": lambda texts: b"".join(orjson.dumps({"text": text}) + b"\n" for text in texts),
    ".parquet": parquet_of,
}
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": lambda content: gzip.compress(content, 1),
    ".zst": lambda content: pyarrow.compress(content, codec="zstd", asbytes=True),
}


def texts_of(name: str, content: bytes) -> list[object]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        with open_data_file(path, whole_texts=True) as file:
            return [row.values["text"] for row in file.rows()]


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("suffix", WRITTEN)
@given(st.lists(TEXTS, max_size=5))
def test_texts_of_rows_are_read_as_they_were_written(
    suffix: str, packing: str, texts: list[str]
) -> None:
    content = PACKED[packing](WRITTEN[suffix](texts))

    assert texts_of(f"a{suffix}{packing}", content) == texts


@pytest.mark.parametrize("packing", PACKED)
@given(TEXTS.filter(str.strip), st.sampled_from(["", "\ufeff"]))
def test_a_text_alone_is_read_as_it_was_written(packing: str, text: str, mark: str) -> None:
    if text.startswith(("\ufeff", "%PDF-", "PK\x03\x04", "PAR1")):
        return
    content = PACKED[packing]((mark + text).encode())

    assert texts_of(f"a.txt{packing}", content) == [text.replace("\r\n", "\n").replace("\r", "\n")]


@pytest.mark.parametrize("form", READERS)
@given(st.binary(max_size=300) | TEXTS.map(str.encode))
def test_bytes_of_any_kind_are_a_document_or_an_error_of_their_own(
    form: str, content: bytes
) -> None:
    signs = {"pdf": b"%PDF-1.4\n", "office": b"PK\x03\x04", "email": b"A: b\n"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        path.write_bytes(signs.get(form, b"") + content)
        said = ""
        try:
            with open_data_file(path, form) as file:  # type: ignore[arg-type]
                (row,) = file.rows()
                said = str(row.values["text"]).strip()
        except DataFileError as error:
            said = str(error).partition(str(path))[2]
    assert said


WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=8)


@given(st.lists(st.lists(WORDS, min_size=1, max_size=5).map(" ".join), min_size=1, max_size=5))
def test_words_of_html_markdown_and_email_are_all_there_in_their_order(texts: list[str]) -> None:
    html = html_text("".join(f"<div><p>{text}</p></div>" for text in texts))
    markdown = read_markdown("\n\n".join(f"x{text}" for text in texts).encode(), None).text
    mail = read_mail(f"Subject: s\n\n{chr(10).join(texts)}".encode(), None).text

    assert html.split("\n\n") == texts
    assert markdown.split("\n\n") == [f"x{text}" for text in texts]
    assert mail.split() == ["s", *" ".join(texts).split()]


_PLACES = st.integers(0, 800).map(float)
_LINES = st.builds(
    lambda text, left, top, width, height, columns, hyphen: PageLine(
        text, left, left + width, top, top - height, columns, hyphen
    ),
    *(WORDS, _PLACES, _PLACES, st.floats(1, 400), st.floats(0, 30), st.booleans(), st.booleans()),
)


@given(st.lists(_LINES, max_size=12))
def test_no_line_of_a_page_is_lost_or_moved(lines: list[PageLine]) -> None:
    made = "".join("".join(text.split()) for text in paragraphs(lines))

    assert made == "".join(line.text for line in lines)


def test_a_text_that_is_no_text_in_any_encoding_is_refused() -> None:
    with pytest.raises(DocumentError, match="a byte of 0"):
        READERS["document"](bytes(20), None)
