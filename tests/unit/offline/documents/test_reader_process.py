"""Documents are read in a process of their own, whatever they do to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streamproc.offline.documents.document import Document, DocumentError
from streamproc.offline.documents.reader_process import ReaderProcess
from tests.support.documents import MADE_BY

TEXT = ["One.", "Two."]


@pytest.fixture
def reader() -> Iterator[ReaderProcess]:
    with ReaderProcess() as process:
        yield process


def with_reader_of_html(folder: Path, monkeypatch: pytest.MonkeyPatch, does: str) -> None:
    """Let reading HTML do something else in the process that is started next."""
    (folder / "sitecustomize.py").write_text(
        "import os, signal\n"
        "from streamproc.offline.documents import whole_file\n"
        f"def read(data, encoding):\n    {does}\n"
        f"whole_file.READERS['html'] = read\n",
        "utf-8",
    )
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_documents_and_errors_come_back_as_they_are(reader: ReaderProcess) -> None:
    assert reader.read("pdf", MADE_BY[".pdf"](TEXT), None) == Document("One.\n\nTwo.")
    with pytest.raises(DocumentError, match="is no PDF"):
        reader.read("pdf", b"none", None)
    read = reader.read("document", "é".encode("latin-1"), "latin-1")
    assert read == Document("é")


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "ended the process that read it, by SIGSEGV"),
        ("os._exit(3)", "with exit code 3"),
        ("signal.pause()", "took too long to be read"),
        ("return bytes(8 << 30)", "needs more memory"),
        ("raise IndexError('odd')", "can't be read as html: IndexError"),
    ],
)
def test_what_a_document_does_to_its_reader_is_an_error_and_the_next_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, said: str
) -> None:
    with_reader_of_html(tmp_path, monkeypatch, does)
    limits = {"time_limit_s": 3} if "pause" in does else {}

    with ReaderProcess(**limits) as reader:
        with pytest.raises(DocumentError, match=said):
            reader.read("html", b"<p>", None)
        assert reader.read("document", b"text", None) == Document("text")


def test_a_missing_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: ReaderProcess
) -> None:
    does = "raise ModuleNotFoundError(name='lxml')"
    with_reader_of_html(tmp_path, monkeypatch, does)

    with pytest.raises(ModuleNotFoundError) as missing:
        reader.read("html", b"<p>", None)
    assert missing.value.name == "lxml"


def test_modules_in_the_folder_of_the_documents_are_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: ReaderProcess
) -> None:
    (tmp_path / "docx.py").write_text("raise SystemExit(7)", "utf-8")
    monkeypatch.chdir(tmp_path)

    assert reader.read("office", MADE_BY[".docx"](TEXT), None).text == "One.\n\nTwo."
