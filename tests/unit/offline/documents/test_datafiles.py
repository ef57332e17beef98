from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from streamproc.errors import DataFileError, SettingsError
from streamproc.offline.documents import json_values, source
from streamproc.offline.documents.file import open_data_file
from streamproc.offline.documents.row import DataRow


def read(path: Path, encoding: str | None = None) -> list[DataRow]:
    with open_data_file(path, encoding=encoding) as file:
        return list(file.rows())


def written(tmp_path: Path, name: str, content: bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["far.csv", "far.txt", "far.jsonl", "far.json"])
def test_wrong_utf8_is_told_by_line_and_by_byte_of_the_whole_file(
    tmp_path: Path, name: str
) -> None:
    begin = {"far.csv": b"text\n", "far.json": b"["}.get(name, b"")
    good = {"far.jsonl": b'{"text":"a"}\n', "far.json": b'{"text":"a"},\n'}.get(name, b"good\n")
    content = begin + good * 9_000 + good.replace(b"a", b"\xe9").replace(b"oo", b"\xe9")
    line, place = content.count(b"\n", 0, content.index(b"\xe9")) + 1, content.index(b"\xe9")

    with pytest.raises(DataFileError) as error:
        read(written(tmp_path, name, content))

    assert f"{name}, line {line}: not UTF-8" in str(error.value)
    assert f"at byte {place} of the file" in str(error.value)
    assert "iconv" in str(error.value)


def test_a_named_encoding_is_read_and_a_wrong_one_told(tmp_path: Path) -> None:
    latin = written(tmp_path, "a.csv", "text\ndécevant\n".encode("latin-1"))
    wide = written(tmp_path, "b.csv", "text\ndécevant\n".encode("utf-16"))

    (one,) = read(latin, "latin-1")
    (other,) = read(wide, "utf-16")

    assert one.values == other.values == {"text": "décevant"}
    with pytest.raises(DataFileError, match="is not ascii at byte 6"):
        read(latin, "ascii")
    for unknown in ("klingon", "base64", "\udcff"):
        with pytest.raises(SettingsError, match="there is no encoding"):
            read(latin, unknown)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'[{"a":1} {"a":2}]', "line 1: no comma between two elements"),
        (b'[{"a":1},\n{"a":2}', r"line 2: the array has no \]"),
        (b'[{"a":1},\n{"a":2', "line 2: what begins here has no end"),
        (b'[{"a":"b', "line 1: what begins here has no end"),
        (b'[{"a":1},\n]', "line 2: the array ends with a comma"),
        (b'[{"a":1}]\n\nmore', "line 3: something follows the end of the array"),
        (b'{"a":1}\n3', "line 2: neither a JSON array nor JSON objects"),
    ],
)
def test_json_that_is_broken_between_its_elements_is_told_by_line(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = written(tmp_path, "a.json", content)

    with pytest.raises(DataFileError, match=said), open_data_file(path, "json") as file:
        list(file.rows())


def test_a_bad_element_of_an_array_costs_no_other(tmp_path: Path) -> None:
    nested = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    content = b'[{"a": 1},\n{"a": nan}, 3, "x", {"a":"\\ud83d"},\n' + nested + b', {"a": 2}]'

    rows = read(written(tmp_path, "a.json", content))

    assert [row.number for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert [row.values for row in rows if not row.fault] == [{"a": 1}, {"a": 2}]
    assert [row.line for row in rows] == [1, 2, 2, 2, 2, 3, 3]


def test_an_element_or_a_line_longer_than_any_request_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_values, "MAX_ROW_BYTES", 1000)
    monkeypatch.setattr(json_values, "PIECE_BYTES", 100)
    monkeypatch.setattr(source, "MAX_ROW_BYTES", 1000)
    long = b'{"a":"' + b"x" * 5000 + b'"}'

    with pytest.raises(DataFileError, match="line 1: an element of more than 1000 bytes"):
        read(written(tmp_path, "a.json", b"[" + long + b"]"))
    with pytest.raises(DataFileError, match="line 2: longer than 1000 bytes"):
        read(written(tmp_path, "a.jsonl", b"{}\n" + long))


def test_quotes_that_do_not_match_cost_their_row_and_are_told(tmp_path: Path) -> None:
    content = b'text,n\n"good" film,1\nfine "really",2\n"never closed,3\nand more,4\n'

    stray, fine, unclosed = read(written(tmp_path, "a.csv", content))

    assert stray.fault.startswith("line 2: ")
    assert "a quote inside quotes is written twice" in stray.fault
    assert fine.values == {"text": 'fine "really"', "n": "2"}
    assert unclosed.fault.startswith("line 4: a quote is opened that is closed nowhere")


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="two columns are called 'text'"):
        read(written(tmp_path, "a.csv", b"text,text\na,b\n"))


@pytest.mark.parametrize("cut", [3, 40, -1])
def test_broken_gzip_is_told_in_a_line(tmp_path: Path, cut: int) -> None:
    packed = gzip.compress(b"".join(b'{"text":"%d"}\n' % n for n in range(50)))

    with pytest.raises(DataFileError, match=r"a\.jsonl\.gz, after line .*: broken gzip"):
        read(written(tmp_path, "a.jsonl.gz", packed[:cut]))


def test_a_folder_and_a_file_that_is_not_there_are_told(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").mkdir()

    with pytest.raises(DataFileError, match=r"d\.jsonl: it is a folder"):
        read(tmp_path / "d.jsonl")
    with pytest.raises(DataFileError, match=r"gone\.jsonl: No such file"):
        read(tmp_path / "gone.jsonl")


def test_how_much_was_read_goes_from_nothing_to_all(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", b'{"text":"a"}\n' * 100_000)

    with open_data_file(path) as file:
        shares = [file.share_read for _ in file.rows()]

    assert shares == sorted(shares, key=lambda share: share or 0)
    assert shares[-1] == 1
    assert shares[0] is not None
    assert shares[0] < 0.1


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8", "utf-8-sig"])
def test_the_encoding_of_rows_is_detected_where_that_is_asked(
    tmp_path: Path, encoding: str
) -> None:
    rows = [f"{n};le garçon déçu espérait être là l'été, près de la forêt" for n in range(9_999)]
    path = written(tmp_path, "a.csv", "\n".join(["n;text", *rows, ""]).encode(encoding))

    with open_data_file(path, encoding="detect") as file:
        found = list(file.rows())
        said = file.said

    assert [f"{row.values['n']};{row.values['text']}" for row in found] == rows
    assert ("detected" in said) == (not encoding.startswith("utf-8"))
