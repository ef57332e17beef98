"""What is read of a document of each format."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from streamproc.errors import DataFileError
from streamproc.offline.documents import whole_file
from streamproc.offline.documents.document import Document, DocumentError
from streamproc.offline.documents.readers import office
from streamproc.offline.documents.readers.html import read_html
from streamproc.offline.documents.readers.markdown import read_markdown
from streamproc.offline.documents.readers.office import read_office
from streamproc.offline.documents.readers.pdf import read_pdf
from tests.support.documents import (
    MADE_BY,
    PROTECTED,
    Placed,
    docx_of,
    pdf,
    pdf_form,
    pptx_of,
    read,
    with_part,
)

PARAGRAPHS = ("A fine film", "It was good.", "It ended well, too.")


def fault(folder: Path, name: str, content: bytes) -> str:
    with pytest.raises(DataFileError) as error:
        read(folder, name, content)
    return str(error.value).partition(name)[2].strip()


@pytest.mark.parametrize("suffix", MADE_BY)
@pytest.mark.parametrize("packed", ["", ".gz", ".zst"])
def test_paragraphs_come_out_of_every_format_in_their_order(
    tmp_path: Path, suffix: str, packed: str
) -> None:
    content = MADE_BY[suffix](PARAGRAPHS)
    if packed == ".gz":
        content = gzip.compress(content)
    elif packed == ".zst":
        import pyarrow

        content = pyarrow.compress(content, codec="zstd", asbytes=True)

    row = read(tmp_path, f"a{suffix}{packed}", content)

    assert [part.strip() for part in str(row.values["text"]).split("\n\n")] == list(PARAGRAPHS)
    assert (row.number, row.warnings) == (1, ())


@pytest.mark.parametrize("suffix", [".pdf", ".docx", ".pptx"])
def test_a_format_is_told_by_how_a_file_begins_where_its_name_does_not_say(
    tmp_path: Path, suffix: str
) -> None:
    row = read(tmp_path, "without", MADE_BY[suffix](PARAGRAPHS))

    assert PARAGRAPHS[1] in str(row.values["text"])


def test_html_is_read_as_it_is_shown() -> None:
    page = """<!doctype html><html><head><title>T</title><style>p {}</style></head><body>
    <header><a href=/>Site</a></header><nav>Home | About</nav>
    <main><article><header><h1>The  head</h1></header>
    <p>One <b>bold</b>word &amp; <!-- no --> more<br>next line.<script>no()</script> End</p>
    <ul><li>first<li>second <a href="x">link</a></ul>
    <table><tr><th>Name<th>Age</tr><tr><td><p>Anna</p><td>33</table>
    <pre>kept  as
  is</pre><div hidden>no</div>tail</article></main>
    <aside>Related</aside><footer>© nobody</footer></body></html>"""

    assert read_html(page.encode(), None) == Document(
        "The head\n\nOne boldword & more\nnext line. End\n\nfirst\nsecond link\n\n"
        "Name | Age\nAnna | 33\n\nkept  as\n  is\n\ntail"
    )


def test_a_table_that_lays_out_a_page_is_no_table() -> None:
    page = "<table><tr><td><h2>Head</h2><p>Text.</p></td><td><p>Beside.</p></td></tr></table>"

    assert read_html(page.encode(), None).text == "Head\n\nText.\n\nBeside."


def test_html_is_read_to_its_end_and_not_to_that_of_its_first_page() -> None:
    page = (
        "<html><head><title>T</title></head><body><p>First.</p></body></html>\nBelow.<!-- -->"
        "<html><head><title>T</title></head><body><nav>Home</nav>Second.</body></html>Last."
    )

    assert read_html(page.encode(), None).text == "First.\n\nBelow.\n\nSecond.\n\nLast."


def test_html_that_is_too_deep_is_told_and_not_cut() -> None:
    assert read_html(b"<div>" * 200 + b"deep" + b"</div>" * 200, None).text == "deep"
    with pytest.raises(DocumentError, match="nested too deeply"):
        read_html(b"<div>" * 100_000 + b"lost" + b"</div>" * 100_000, None)


def test_markdown_loses_its_signs_and_its_front_matter() -> None:
    text = (
        "---\ntitle: no\n---\n# Head\n\nOne *fine* [link](http://example.org)\ngoes on.\n\n"
        "- a\n- b\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\n```\nsome  code\n  of lines\n```\n"
    )

    assert read_markdown(text.encode(), None).text == (
        "Head\n\nOne fine link goes on.\n\na\nb\n\nx | y\n1 | 2\n\nsome  code\n  of lines"
    )


def test_markdown_between_two_rules_and_nested_deeply_is_read() -> None:
    between = "---\n\nNot of a machine.\n\n---\n\nThe rest.\n"
    nested = "".join(f"{'  ' * level}- {level}\n" for level in range(15)) + "\nThe rest.\n"

    assert read_markdown(between.encode(), None).text == "Not of a machine.\n\nThe rest."
    assert read_markdown(nested.encode(), None).text.split() == [
        *map(str, range(15)),
        "The",
        "rest.",
    ]
    with pytest.raises(DocumentError, match="nested too deeply"):
        read_markdown(b"> " * 9_999 + b"lost", None)


def test_lines_of_a_page_become_paragraphs_and_rows_of_a_table_stay_lines() -> None:
    page = [
        Placed(72, 760, "A title", 18),
        Placed(72, 720, "The first paragraph is long enough to be broken into sev-"),
        Placed(72, 706, "eral lines, and then it goes on until it comes to its end"),
        Placed(72, 692, "here."),
        Placed(72, 664, "The second is short."),
        *(Placed(x, 630, text) for x, text in ((72, "Name"), (200, "Age"), (300, "Town"))),
        *(Placed(x, 616, text) for x, text in ((72, "Anna"), (200, "33"), (300, "Rome"))),
        Placed(72, 580, "• one point"),
        Placed(72, 566, "• another point, which is long enough to be"),
        Placed(84, 552, "continued where its text begins"),
        Placed(72, 510, "1 Contents . . . . . . . . . . . . . . . . . . . . 1"),
        Placed(72, 496, "2 Figures . . . . . . . . . . . . . . . . . . . . 23"),
    ]

    assert read_pdf(pdf(page, [Placed(72, 700, "Page two, café.")]), None).text == (
        "A title\n\nThe first paragraph is long enough to be broken into several lines, and then "
        "it goes on until it comes to its end here.\n\nThe second is short.\n\n"
        "Name Age Town\nAnna 33 Rome\n\n• one point\n"
        "• another point, which is long enough to be continued where its text begins\n\n"
        "1 Contents . . . . . . . . . . . . . . . . . . . . 1\n"
        "2 Figures . . . . . . . . . . . . . . . . . . . . 23\n\nPage two, café."
    )


def test_a_sentence_goes_on_in_the_next_column_and_on_the_next_page() -> None:
    left = ["The left column has a text that", "is broken into lines, up to its end"]
    right = ["in the right column. A new sen-", "tence begins there, and it goes on"]
    columns = [
        Placed(x, 700 - 14 * n, text)
        for x, lines in ((60, left), (320, right))
        for n, text in enumerate(lines)
    ]
    pages = [columns, [Placed(60, 700, "over here."), Placed(60, 640, "Another paragraph.")]]

    assert read_pdf(pdf(*pages), None).text == (
        "The left column has a text that is broken into lines, up to its end in the right column. "
        "A new sentence begins there, and it goes on over here.\n\nAnother paragraph."
    )


def test_a_word_document_is_read_with_its_tables_boxes_and_notes() -> None:
    import docx
    from docx.oxml import parse_xml

    document = docx.Document()
    document.add_paragraph("Before")
    table = document.add_table(2, 2)
    for number, cell in enumerate(cell for row in table.rows for cell in row.cells):
        cell.text = f"cell {number}"
    inserted = (
        '<w:p xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        "<w:r><w:t>kept </w:t></w:r><w:ins><w:r><w:t>inserted</w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del></w:p>"
    )
    document.element.body.insert(-1, parse_xml(inserted))
    framed = document.add_table(1, 1).rows[0].cells[0]
    framed.text = "framed"
    framed.add_paragraph("twice")
    made = io.BytesIO()
    document.save(made)

    assert read_office(made.getvalue(), None).text == (
        "Before\n\ncell 0 | cell 1\ncell 2 | cell 3\n\nkept inserted\n\nframed\ntwice"
    )


def test_slides_are_read_with_their_titles_tables_groups_and_notes() -> None:
    from pptx import Presentation
    from pptx.util import Cm

    presentation = Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[5])
    size = (Cm(1), Cm(1), Cm(5), Cm(2))
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(*size).text_frame.text = "in a group"
    slide.shapes.add_textbox(*size).text_frame.text = "a point\nand another"
    table = slide.shapes.add_table(1, 2, *size).table
    table.cell(0, 0).text, table.cell(0, 1).text = "left", "right"
    assert slide.shapes.title is not None
    slide.shapes.title.text = "The title"
    assert slide.notes_slide.notes_text_frame is not None
    slide.notes_slide.notes_text_frame.text = "to be said"
    made = io.BytesIO()
    presentation.save(made)

    assert read_office(made.getvalue(), None).text == (
        "The title\n\nin a group\n\na point\nand another\n\nleft | right\n\nto be said"
    )


def test_no_shape_of_a_slide_is_lost_where_several_have_one_id() -> None:
    from pptx import Presentation
    from pptx.util import Cm

    presentation = Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[5])
    assert slide.shapes.title is not None
    slide.shapes.title.text = "The title"
    box = slide.shapes.add_textbox(Cm(1), Cm(1), Cm(5), Cm(2))
    box.text_frame.text = "a point"
    box._element.nvSpPr.cNvPr.set("id", str(slide.shapes.title.shape_id))
    made = io.BytesIO()
    presentation.save(made)

    assert read_office(made.getvalue(), None).text == "The title\n\na point"


def test_frames_without_data_are_passed_over_where_they_come_first_too(tmp_path: Path) -> None:
    import pyarrow

    # As pzstd writes them; what they hold is the length of the frame behind.
    empty = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    frame = pyarrow.compress(b"A fine film", codec="zstd", asbytes=True)

    assert read(tmp_path, "a.txt.zst", (empty + frame) * 2).values == {"text": "A fine film" * 2}


@pytest.mark.parametrize(("flags", "text"), [(4, "Name:\nEve Smith"), (2, "Name:")])
def test_what_is_filled_in_a_form_is_read_unless_it_is_hidden(flags: int, text: str) -> None:
    form = pdf_form([Placed(72, 700, "Name:")], Placed(150, 697, "Eve Smith"), flags)

    assert read_pdf(form, None).text.replace("\n\n", "\n") == text


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"", "is empty"),
        ("a.txt", b" \n ", "has no text"),
        ("a.html", b"<script>1</script>", "has no text"),
        ("a.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF", "is of no format that is read"),
        ("a.txt", pdf([Placed(9, 9, "a")]), "is a PDF, and not what its name says"),
        ("a.rtf", b"{\\rtf1 a}", "is RTF: save it as DOCX"),
        ("a.txt", bz2.compress(b"a"), "is packed with bzip2: unpack it first"),
        ("a.txt", lzma.compress(b"a"), "is packed with xz: unpack it first"),
        ("a.pdf", b"<html>", "is no PDF"),
        ("a.pdf", pdf([Placed(9, 9, "a")])[:200], "is a broken PDF"),
        ("a.pdf", pdf([Placed(9, 9, "a")], trailer=PROTECTED), "is protected by a password"),
        ("a.pdf", pdf([], []), "has no text in its 2 pages, as scanned pages have none"),
        ("a.docx", b"PK\x03\x04 not at all", "is no DOCX"),
        ("a.docx", b"\xd0\xcf\x11\xe0" + bytes(600), "is encrypted, or of an Office before 2007"),
        ("a.docx", docx_of(["a"])[:-40], "is no DOCX"),
        ("a.docx", with_part(docx_of(["a"]), "word/document.xml", b"<w>"), "can't be read as"),
        ("a.pptx", with_part(pptx_of(["a"]), "ppt/presentation.xml", b""), "can't be read as"),
        ("a.eml", b"no header at all", "is no e-mail"),
        ("a.txt.gz", gzip.compress(b"text" * 99, mtime=0)[:-9], "broken gzip"),
        ("a.txt.zst", b"\x28\xb5\x2f\xfd\x04", "broken zstd"),
        ("a.parquet", b"PAR1" + bytes(40) + b"PAR1", "not readable as Parquet"),
    ],
)
def test_a_document_that_can_not_be_read_says_why(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    assert said in fault(tmp_path, name, content)


def test_entities_are_not_expanded_and_nothing_is_fetched(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret", "utf-8")
    head = f'<!DOCTYPE x [<!ENTITY a "{"lol" * 99}"><!ENTITY f SYSTEM "file://{secret}">]>'
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = "<w:body><w:p><w:r><w:t>text &a; &f;</w:t></w:r></w:p></w:body>"
    written = f'<?xml version="1.0"?>{head}<w:document xmlns:w="{space}">{body}</w:document>'

    bomb = with_part(docx_of(["a"]), "word/document.xml", written.encode())

    text = read_office(bomb, None).text
    assert text.startswith("text")
    assert "lol" not in text
    assert "secret" not in text


def test_an_archive_that_grows_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(office, "MAX_XML_BYTES", 1 << 20)
    monkeypatch.setattr(office, "MAX_UNPACKED_BYTES", 2 << 20)
    monkeypatch.setattr(whole_file, "MAX_DOCUMENT_BYTES", 3 << 20)
    xml = with_part(docx_of(["a"]), "word/document.xml", bytes(2 << 20))
    media = with_part(docx_of(["a"]), "word/media/a.png", bytes(3 << 20))

    assert "more than 1 MiB of XML" in fault(tmp_path, "a.docx", xml)
    assert "more than 2 MiB, unpacked" in fault(tmp_path, "b.docx", media)
    assert "more than 3 MiB, unpacked" in fault(tmp_path, "a.txt.gz", gzip.compress(bytes(4 << 20)))


def test_parts_are_unpacked_no_further_than_they_declare() -> None:
    honest = with_part(docx_of(["a"]), "word/document.xml", b"<a>" + b" " * 100_000 + b"</a>")
    with zipfile.ZipFile(io.BytesIO(honest)) as archive:
        size = archive.getinfo("word/document.xml").file_size
    lie = honest.replace(size.to_bytes(4, "little"), (10).to_bytes(4, "little"))

    assert lie != honest
    with pytest.raises(Exception, match=r"Bad CRC|EndTag|Premature"):
        read_office(lie, None)


def test_a_missing_extra_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf([Placed(9, 9, "a")]))
    program = (
        "import sys; sys.modules['pypdfium2'] = None\n"
        "from pathlib import Path\n"
        "from streamproc.errors import SettingsError\n"
        "from streamproc.offline.documents.file import open_data_file\n"
        "try:\n"
        "    with open_data_file(Path(sys.argv[1])) as file: list(file.rows())\n"
        "except SettingsError as error: print(error)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a.pdf")],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == (
        f"reading {tmp_path}/a.pdf needs pypdfium2, which is not installed: "
        'pip install "streamproc[documents]"'
    )
