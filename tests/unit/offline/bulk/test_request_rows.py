from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import orjson
import pytest

from streamproc.errors import DataFileError, SettingsError
from streamproc.offline.bulk.request_rows import RequestRow, request_rows, required_fields
from streamproc.offline.documents.file import open_data_file
from streamproc.offline.documents.formats import Format
from streamproc.serving.tasks.catalogue import task_named

CLASSIFY, ASK = "text-classification", "question-answering"


def rows_of(
    tmp_path: Path,
    content: str | bytes,
    task: str = CLASSIFY,
    *,
    name: str = "rows.jsonl",
    form: Format | None = None,
    told: list[str] | None = None,
) -> list[RequestRow]:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    fields = required_fields(task_named(task))
    with open_data_file(path, form, fields=fields) as file:
        said = told.append if told is not None else lambda _: None
        return list(request_rows(file, task_named(task), said))


def asked(row: RequestRow) -> Any:
    assert row.value is not None, row.fault
    return orjson.loads(row.value)


def test_columns_of_a_csv_become_the_fields_of_the_task(tmp_path: Path) -> None:
    content = 'id,context,question\nq1,"Two\r\nlines",Who?\n,Here,Where?\n'

    first, second = rows_of(tmp_path, content, ASK, name="asked.csv")

    assert (first.id, asked(first)) == (
        "q1",
        {"id": "q1", "question": "Who?", "context": "Two\r\nlines"},
    )
    assert (second.id, asked(second)) == ("2", {"question": "Where?", "context": "Here"})


def test_columns_called_like_fields_of_a_request_are_used(tmp_path: Path) -> None:
    content = (
        "text,ensemble,params,deadline_ms,metadata\n"
        'great,tone,"{""return_members"": true}",1500.0,'
        '"{""k"": 1.10, ""n"": 123456789012345678901}"\n'
        "bad,,,,\n"
    )

    full, bare = rows_of(tmp_path, content, name="asked.csv")

    assert full.value is not None
    assert b'{"k": 1.10, "n": 123456789012345678901}' in full.value
    assert {name: asked(full)[name] for name in ("ensemble", "params", "deadline_ms")} == {
        "ensemble": "tone",
        "params": {"return_members": True},
        "deadline_ms": 1500,
    }
    assert asked(bare) == {"text": "bad"}


def test_a_cell_that_should_hold_json_and_does_not_is_an_error_of_its_row(tmp_path: Path) -> None:
    wrong, good = rows_of(tmp_path, "text,metadata\na,page 3\nb,3\n", name="asked.csv")

    assert (wrong.value, wrong.fault_type) == (None, "invalid")
    assert "line 2: metadata is not JSON" in wrong.fault
    assert asked(good) == {"text": "b", "metadata": 3}


def test_columns_that_are_not_used_are_told_once(tmp_path: Path) -> None:
    told: list[str] = []

    rows_of(tmp_path, "text,film,stars\na,b,1\nc,d,2\n", name="asked.csv", told=told)

    (line,) = told
    assert line.startswith("columns that are not used: film, stars (used are: text, ")


def test_a_csv_lacking_columns_is_refused_naming_them(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="a column called context for question-answering"):
        rows_of(tmp_path, "question,text\nWho?,x\n", ASK, form="csv")
    with pytest.raises(SettingsError, match="columns called question and context"):
        rows_of(tmp_path, "", ASK, form="csv")


def test_ragged_rows_of_a_csv_are_errors_and_the_rest_goes_on(tmp_path: Path) -> None:
    content = 'id,text\na,"great, fun"\nb\nc,one,two\nd,bad\n'

    great, short, long, bad = rows_of(tmp_path, content, name="asked.csv")

    assert (asked(great)["text"], asked(bad)["text"]) == ("great, fun", "bad")
    assert (short.id, short.value, long.id, long.value) == ("b", None, "c", None)
    assert short.fault == "line 3: 2 columns expected, found 1"
    assert long.fault.startswith("line 4: 2 columns expected, found 3")


def test_an_id_behind_a_value_too_many_is_not_trusted(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, "text,id\nfine, really,x\n", name="asked.csv")

    assert (row.id, row.value) == ("1", None)


def test_a_csv_may_hold_a_document(tmp_path: Path) -> None:
    document = "word " * 100_000

    (row,) = rows_of(tmp_path, f'question,context\nWho?,"{document}"\n', ASK, form="csv")

    assert asked(row) == {"question": "Who?", "context": document}


def test_lines_of_text_are_for_tasks_that_need_a_text_alone(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "good\r\nbad", name="lines.txt")

    assert [(row.id, asked(row)) for row in rows] == [
        ("1", {"text": "good"}),
        ("2", {"text": "bad"}),
    ]
    with pytest.raises(SettingsError, match="needs: question and context; use JSON Lines"):
        rows_of(tmp_path, "good\n", ASK, name="lines.txt")


def test_json_lines_are_requests_to_the_byte(tmp_path: Path) -> None:
    written = '{"question": "Who?",  "context": "x", "metadata": {"n": 12345678901234567890123}}'

    row, strange = rows_of(tmp_path, f"\n {written} \n[]\n", ASK)

    assert (row.id, row.value) == ("2", written.encode())
    assert strange.value is None
    assert strange.fault.startswith("line 3 is not a JSON object")


def test_a_number_that_nothing_holds_is_no_fault_where_it_is_only_handed_on(tmp_path: Path) -> None:
    written = b'{"text": "a", "metadata": [1e400]}'

    row, other = rows_of(tmp_path, written + b'\n{"text": "a", "params": [1e400]}')

    assert row.value == written
    assert (other.value, other.fault_type) == (None, "unreadable")


def test_a_cell_of_metadata_may_hold_any_number_and_nothing_beside_it(tmp_path: Path) -> None:
    content = 'text,metadata,params\na,-1e400,\nb,"1e400,""x"":1",\nc,,1e400\n'

    any_number, more, params = rows_of(tmp_path, content, name="asked.csv")

    assert any_number.value == b'{"text":"a","metadata":-1e400}'
    assert "line 3: metadata is not JSON" in more.fault
    assert "line 4: params is not JSON" in params.fault


def test_null_is_no_id_and_an_integer_is_one(tmp_path: Path) -> None:
    content = '{"id":null,"text":"a"}\n{"id": 7, "text":"b"}\n{"id":["x"],"text":"c"}\n{"text":"d"}'

    null, seven, listed, without = rows_of(tmp_path, content)

    assert (null.id, null.value) == ("1", b'{"id":null,"text":"a"}')
    # The wire's id is a string; the answer's line gets it back as it came.
    assert (seven.id, seven.value, seven.id_json) == (7, b'{"id": "7", "text":"b"}', b"7")
    assert (listed.id, listed.value, listed.fault_type) == ("3", None, "invalid")
    assert "line 3: id is a list" in listed.fault
    assert without.id == "4"


def test_an_id_may_have_more_digits_than_a_machine_word(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, '{"id":123456789012345678901234567890,"text":"a"}')

    assert row.id_json == b"123456789012345678901234567890"
    assert asked(row)["id"] == "123456789012345678901234567890"


@pytest.mark.parametrize(
    ("content", "form"),
    [
        ('{"text": "a"}\n', "jsonl"),
        ('\n{"text": "a"}\r\n{not json\n', "jsonl"),
        ('[{"text": "a"}]', "json"),
        ('[\n  {"text": "a"}\n]', "json"),
        ('{\n  "text": "a"\n}\n', "json"),
        ("id,text\n1,a\n", "csv"),
        ("id;text\n1;a\n", "csv"),
        ("id\ttext\n1\ta\n", "tsv"),
        ("It was fine, really.\n", "text"),
        ("[music] and then\n", "text"),
        ("{curly} beginnings\n", "text"),
        ("", "text"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_format_is_told_by_how_the_file_begins_where_its_name_does_not_say(
    tmp_path: Path, content: str, form: Format, packed: bool
) -> None:
    path = tmp_path / "rows"
    path.write_bytes(gzip.compress(content.encode()) if packed else content.encode())

    with open_data_file(path, fields=("text",)) as file:
        assert file.format == form
        assert all("text" in row.values for row in file.rows() if not row.fault)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"id,review,label\n1,good,pos\n", "--format csv or --format text"),
        (b"text\ngood\n", "may be CSV with one column"),
        (b"PK\x03\x04whatever", "Excel"),
        (b"PAR1whatever", "Parquet"),
        ("text\n".encode("utf-16"), "--encoding utf-16"),
        (b"a\0b\n", "no text"),
    ],
)
def test_what_can_not_be_told_is_refused_with_what_to_do(
    tmp_path: Path, content: bytes, said: str
) -> None:
    with pytest.raises(DataFileError, match=said):
        rows_of(tmp_path, content, name="rows")
