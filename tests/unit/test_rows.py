from __future__ import annotations

from pathlib import Path

import pytest

from streamproc.cli.rows import Format, Row, read_rows
from streamproc.errors import SettingsError
from streamproc.tasks.catalogue import task_named


def rows_of(
    tmp_path: Path, content: str, task: str, *, name: str = "rows", form: Format | None = None
) -> list[Row]:
    path = tmp_path / name
    path.write_bytes(content.encode())
    return list(read_rows(path, form, task_named(task)))


def test_columns_of_a_csv_become_the_fields_of_the_task(tmp_path: Path) -> None:
    content = 'id,context,note,question\nq1,"Two\r\nlines",x,Who?\n,Here,y,Where?\n'

    first, second = rows_of(tmp_path, content, "question-answering", name="asked.csv")

    assert first == Row("q1", {"question": "Who?", "context": "Two\r\nlines"})
    assert second == Row("2", {"question": "Where?", "context": "Here"})


def test_a_csv_lacking_columns_is_refused_naming_them(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="a column called context for question-answering"):
        rows_of(tmp_path, "question,text\nWho?,x\n", "question-answering", form="csv")
    with pytest.raises(SettingsError, match="columns called question and context"):
        rows_of(tmp_path, "", "question-answering", form="csv")


def test_a_csv_may_hold_a_document(tmp_path: Path) -> None:
    document = "word " * 100_000

    content = f'question,context\nWho?,"{document}"\n'
    (row,) = rows_of(tmp_path, content, "question-answering", form="csv")

    assert row.request == {"question": "Who?", "context": document}


def test_a_field_longer_than_any_request_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamproc.cli.rows._MAX_FIELD_BYTES", 100)

    with pytest.raises(SettingsError, match="is not a CSV: field larger than field limit"):
        rows_of(tmp_path, f"question,context\nx,{'y' * 101}\n", "question-answering", form="csv")


def test_lines_of_text_are_for_tasks_that_need_a_text_alone(tmp_path: Path) -> None:
    assert rows_of(tmp_path, "good\r\nbad", "text-classification") == [
        Row("1", {"text": "good"}),
        Row("2", {"text": "bad"}),
    ]
    with pytest.raises(SettingsError, match="needs: question and context; use JSON Lines"):
        rows_of(tmp_path, "good\n", "question-answering")


def test_json_lines_are_requests_as_they_are(tmp_path: Path) -> None:
    content = '{"question": "Who?", "context": "x", "params": {"top_k": 2}}\n\n[]\n'

    asked, strange = rows_of(tmp_path, content, "question-answering", name="asked.jsonl")

    assert asked == Row("1", {"question": "Who?", "context": "x", "params": {"top_k": 2}})
    assert (strange.request, strange.fault) == (None, "line 3 is not a JSON object")
