"""In which encoding a document is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamproc.offline.documents.encodings import decoded
from streamproc.offline.documents.readers.html import read_html
from tests.support.documents import read

FRENCH = "Le garçon déçu espérait être à l'aise près de la forêt; où était-il allé, l'été passé?"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_dropped_and_says_the_encoding(tmp_path: Path, encoding: str) -> None:
    row = read(tmp_path, "a.txt", FRENCH.encode(encoding))

    assert (row.values, row.warnings) == ({"text": FRENCH}, ())


def test_an_encoding_is_detected_and_told_or_declared_or_given(tmp_path: Path) -> None:
    detected = read(tmp_path, "a.txt", FRENCH.encode("cp1252"))
    declared = read(tmp_path, "a.html", f'<meta charset="iso-8859-1">{FRENCH} “'.encode("cp1252"))
    russian = read(
        tmp_path, "b.txt", ("Это довольно длинный текст. " * 5).encode("koi8-r"), "koi8-r"
    )

    assert detected.values == {"text": FRENCH}
    assert "which was detected" in detected.warnings[0]
    assert declared.values == {"text": f"{FRENCH} “"}
    assert declared.warnings == russian.warnings == ()
    assert str(russian.values["text"]).startswith("Это довольно")


@pytest.mark.parametrize(
    ("name", "text", "codec"),
    [
        ("Shift_JIS", "こんにちは①", "cp932"),
        ("x-sjis", "こんにちは", "cp932"),
        ("windows-31j", "髙島屋", "cp932"),
        ("gb2312", "朱镕基", "gbk"),
        ("big5", "碁", "cp950"),
        ("euc-kr", "똠방각하", "cp949"),
        ("windows-874", "สวัสดี", "cp874"),
        ("iso-8859-9", "“İstanbul”", "cp1254"),
        ("iso-2022-jp", "ﾊﾝｶｸ", "iso2022_jp_ext"),
    ],
)
def test_a_declared_encoding_is_what_browsers_take_it_for(name: str, text: str, codec: str) -> None:
    page = f'<meta charset="{name}"><p>{text}</p>'.encode(codec)
    xml = f'<?xml version="1.0" encoding="{name}"?><html><p>{text}</p></html>'.encode(codec)

    assert (read_html(page, None).text, read_html(page, None).warnings) == (text, ())
    assert read_html(xml, None).text == text


def test_a_page_that_can_be_read_byte_by_byte_is_not_in_utf_16_as_it_says() -> None:
    page = f'<meta charset="utf-16"><p>{FRENCH}</p> '.encode("cp1252")

    assert {read_html(page + rest, None).text for rest in (b"", b" ")} == {FRENCH}


@pytest.mark.parametrize(
    ("data", "declared", "said"),
    [
        (FRENCH.encode() * 2 + "é".encode()[:1], None, "UTF-8"),
        (FRENCH.encode() + b"\xff" + FRENCH.encode(), "utf-8", "UTF-8"),
        ("これは日本語の文章です".encode("cp932") + b"\x82", "shift_jis", "SHIFT_JIS"),
        # A sign of NEC's, as mail programs write it.
        (
            "これは日本語の文章です".encode("iso-2022-jp")[:-3] + b"-!\x1b(B",
            "iso-2022-jp",
            "ISO-2022-JP",
        ),
    ],
)
def test_a_few_broken_characters_leave_the_others_as_they_are_and_are_told(
    data: bytes, declared: str | None, said: str
) -> None:
    text, warnings = decoded(data, None, declared)

    assert text.count("\ufffd") == 1
    assert text.startswith((FRENCH, "これは日本語の文章です"))
    assert warnings == (f"not {said} throughout: 1 character can't be read",)
