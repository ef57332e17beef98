"""A folder of documents of many formats, as a user has it."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import ROOT, STREAMPROC, environment, streamproc
from tests.support.documents import MADE_BY, Placed, pdf

GOOD = ("A lovely film", "It is wonderful, warm and funny.", "I loved every minute of it.")
BAD = ("An awful film", "It is dull, cold and far too long.", "I hated every minute of it.")


def answers(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


@pytest.fixture
def pile(tmp_path: Path) -> Path:
    """A folder of eight formats, with documents of two kinds in each."""
    import pyarrow
    from pyarrow import parquet

    folder = tmp_path / "pile"
    (folder / "bad").mkdir(parents=True)
    for suffix, made in MADE_BY.items():
        (folder / f"good{suffix}").write_bytes(made(GOOD))
        (folder / "bad" / f"bad{suffix}.gz").write_bytes(gzip.compress(made(BAD)))
    table = pyarrow.table({"id": [7], "text": [" ".join(BAD)], "film": ["x"]})
    parquet.write_table(table, folder / "bad" / "rows.parquet")
    (folder / "rows.csv").write_text(f'text,film\n"{" ".join(GOOD)}",y\n', "utf-8")
    return folder


def test_a_folder_of_eight_formats_is_answered(pile: Path) -> None:
    done = streamproc("run", pile)

    found = answers(done.stdout)
    assert done.returncode == 0, done.stderr
    labels = {str(one["id"]): one["result"]["label"] for one in found}
    assert labels == {
        **{f"bad/bad{suffix}.gz": "negative" for suffix in MADE_BY},
        "7": "negative",
        **{f"good{suffix}": "positive" for suffix in MADE_BY},
        "rows.csv#1": "positive",
    }
    assert [one["id"] for one in found][:3] == [
        "bad/bad.docx.gz",
        "bad/bad.eml.gz",
        "bad/bad.html.gz",
    ]


def test_a_bad_file_is_named_and_the_rest_goes_on(pile: Path) -> None:
    wrong = {
        "a-broken.pdf": pdf([Placed(9, 9, "a")])[:99],
        "b-empty.docx": b"",
        "c-scanned.pdf": pdf([]),
        "d-not-what-it-says.pptx": b"<html>",
        "e-no-column.csv": b"review\nfine\n",
        "f-cut.jsonl": b'{"text": "fine"}\n{"text": "cut',
        "g-picture.png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    }
    for name, content in wrong.items():
        (pile / name).write_bytes(content)
    (pile / ".hidden").write_bytes(b"not read")
    output = pile / "answers.jsonl"

    done = streamproc("run", pile, "-o", output)
    again = streamproc("run", pile, "-o", output)

    assert done.returncode == again.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"hidden files and folders are not read: {pile / '.hidden'}" in done.stderr
    assert "answers.jsonl" in again.stderr
    found = answers(output.read_text("utf-8"))
    errors = {one["id"]: one["error"] for one in found if one["status"] == "error"}
    assert set(errors) == set(wrong) - {"f-cut.jsonl"} | {"f-cut.jsonl#2"}
    assert {error["type"] for error in errors.values()} == {"unreadable"}
    assert errors["a-broken.pdf"]["title"] == "unreadable file"
    assert "no text in its 1 page" in errors["c-scanned.pdf"]["detail"]
    assert sum(one["status"] == "ok" for one in found) == 2 * len(MADE_BY) + 2 + 1


def test_a_document_comes_through_a_pipe(tmp_path: Path) -> None:
    done = subprocess.run(
        [*STREAMPROC, "run", "-"],
        cwd=ROOT,
        env=environment({}),
        input=MADE_BY[".pdf"](GOOD),
        capture_output=True,
        check=False,
    )

    (answer,) = answers(done.stdout.decode())
    assert (answer["id"], answer["result"]["label"]) == ("-", "positive")


def test_warnings_about_a_document_are_in_its_answer(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes("Le film était très réussi, à voir dès l'été.".encode("cp1252"))

    (answer,) = answers(streamproc("run", tmp_path / "a.md").stdout)

    assert "read as cp1252" in answer["warnings"][0]


def test_other_names_of_columns_are_told_by_options(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("key,review\n1,A lovely film\n", "utf-8")
    options = ("--text-column", "review", "--map", "id=key")

    (answer,) = answers(streamproc("run", tmp_path / "a.csv", *options).stdout)
    wrong = streamproc("run", tmp_path / "a.csv", "--map", "title=review")

    assert answer["id"] == "1"
    assert wrong.returncode == 2
    assert "have no field 'title'; they have text, id" in wrong.stderr


def test_a_format_whose_extra_is_missing_ends_the_command_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "pile").mkdir()
    (tmp_path / "pile" / "a.docx").write_bytes(MADE_BY[".docx"](GOOD))
    # In the place of the extra's package.
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "docx.py").write_text(
        "raise ModuleNotFoundError('no docx', name='docx')\n", "utf-8"
    )

    done = subprocess.run(
        [*STREAMPROC, "run", str(tmp_path / "pile")],
        cwd=ROOT,
        env=environment({}) | {"PYTHONPATH": str(tmp_path / "path")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert 'pip install "streamproc[documents]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_no_permission_is_an_error_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("fine", "utf-8")
    (tmp_path / "b.txt").write_text("fine", "utf-8")
    (tmp_path / "a.txt").chmod(0)
    if os.access(tmp_path / "a.txt", os.R_OK):
        pytest.skip("this user reads everything")

    first, second = answers(streamproc("run", tmp_path).stdout)

    assert "Permission denied" in first["error"]["detail"]
    assert second["status"] == "ok"
