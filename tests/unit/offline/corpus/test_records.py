from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from streamproc.errors import TrainingError
from streamproc.offline.corpus.records import Columns, LabelledText, read_labelled_texts


def test_json_lines_keep_text_label_and_other_fields_in_order(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(
        '{"text": "good\\n", "label": 1, "domain": "films"}\n\n{"text": "", "label": "bad"}\n',
        encoding="utf-8",
    )

    assert list(read_labelled_texts(path)) == [
        LabelledText("good\n", "1", {"domain": "films"}),
        LabelledText("", "bad", {}),
    ]


def test_a_gzipped_corpus_reads_like_a_plain_one(tmp_path: Path) -> None:
    line = '{"text": "häh\u2028?", "label": 0}\n'
    (tmp_path / "c.jsonl").write_text(line, encoding="utf-8")
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(line.encode()))

    plain = list(read_labelled_texts(tmp_path / "c.jsonl"))

    assert plain == list(read_labelled_texts(tmp_path / "c.jsonl.gz"))
    assert plain[0].text == "häh\u2028?"


def test_csv_keeps_line_ends_inside_quotes(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(b'review,stars,shop\r\n"one,\r\ntwo",5,a\r\n')

    (record,) = read_labelled_texts(path, Columns("review", "stars"))

    assert record == LabelledText("one,\r\ntwo", "5", {"shop": "a"})


def test_csv_takes_texts_as_long_as_a_request_does(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text(f"text,label\n{'long ' * 100_000},1\n", encoding="utf-8")

    (record,) = read_labelled_texts(path)

    assert len(record.text) == 500_000


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("c.jsonl", b'{"text": "a", "label": 1}\n{"text": 3, "label": 1}\n', "line 2"),
        ("c.jsonl", b'{"text": "a"}\n', "'label'"),
        ("c.jsonl", b"{nonsense\n", "line 1"),
        ("c.jsonl", b"[1]\n", "JSON object"),
        ("c.jsonl", b'{"text": "\xff", "label": 1}\n', "UTF-8"),
        ("c.jsonl.gz", b"not gzip", "is not gzip"),
        ("c.jsonl", b'{"text": "a", "label": 1}\n{"text": "half \\ud83d", "label": 1}\n', "line 2"),
        ("c.jsonl", b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "line 1"),
        ("c.json", b'[{"text": "a", "label": 1}, 3]', "line 1"),
        ("c.parquet", b"not Parquet", "Parquet"),
        ("c.csv", b"text,label\na,1,2\n", "line 2"),
        ("c.csv", b"text,label\na\n", "line 2"),
        ("c.txt", b"a text", "JSON Lines, JSON, CSV or TSV"),
    ],
)
def test_an_unreadable_corpus_says_where_it_is_wrong(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(TrainingError) as error:
        list(read_labelled_texts(path))

    assert name in str(error.value)
    assert said in str(error.value)


def test_a_pipe_that_could_be_read_once_is_no_corpus(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "c.jsonl")

    with pytest.raises(TrainingError, match="read more than once"):
        list(read_labelled_texts(tmp_path / "c.jsonl"))


def test_a_folder_is_no_corpus(tmp_path: Path) -> None:
    for name in ("d.jsonl", "d.parquet"):
        (tmp_path / name).mkdir()
        with pytest.raises(TrainingError, match=name):
            list(read_labelled_texts(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("c.csv", "text,label,shop\r\na,1,x\r\nb,2,y\r\n"),
        ("c.tsv", "text\tlabel\tshop\na\t1\tx\nb\t2\ty\n"),
        ("c.json", '[{"text":"a","label":1,"shop":"x"},\n{"text":"b","label":2,"shop":"y"}]'),
        ("c.dat", '{"text":"a","label":1,"shop":"x"}\n{"text":"b","label":2,"shop":"y"}\n'),
    ],
)
def test_a_corpus_in_any_layout_is_the_same_with_a_byte_order_mark_and_packed(
    tmp_path: Path, name: str, content: str
) -> None:
    path = tmp_path / f"{name}.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + content.encode()))

    assert list(read_labelled_texts(path)) == [
        LabelledText("a", "1", {"shop": "x"}),
        LabelledText("b", "2", {"shop": "y"}),
    ]


def test_a_missing_corpus_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"gone\.jsonl"):
        list(read_labelled_texts(tmp_path / "gone.jsonl"))


@pytest.mark.parametrize("label", ['["good", "short"]', '{"good": 1}'])
def test_a_list_of_labels_is_not_learned_as_one_label(tmp_path: Path, label: str) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(f'{{"text": "a", "label": {label}}}\n', encoding="utf-8")

    with pytest.raises(TrainingError, match=r"c\.jsonl, line 1: 'label' is not one label"):
        list(read_labelled_texts(path))
