"""Files, folders and patterns that a command is given."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from streamproc.errors import DataFileError, SettingsError
from streamproc.offline.documents.inputs import InputFile, Inputs


def made(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, "utf-8")


def names(
    *given: Path, told: list[str] | None = None, leave_out: tuple[Path, ...] = ()
) -> list[str]:
    said = told.append if told is not None else lambda _: None
    return [file.name for file in Inputs(given, said, leave_out=leave_out)]


def test_a_folder_is_read_in_the_order_of_names_and_named_from_there(tmp_path: Path) -> None:
    made(tmp_path, "in/b.txt", "in/a/z.txt", "in/a/deep/y.txt", "in/a.txt", "in/B.txt")

    assert names(tmp_path / "in") == ["B.txt", "a/deep/y.txt", "a/z.txt", "a.txt", "b.txt"]


def test_names_stay_the_same_wherever_the_folder_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path, "here/in/a/b.txt", "there/in/a/b.txt")
    monkeypatch.chdir(tmp_path / "here")

    assert names(Path("in")) == names(tmp_path / "there" / "in") == ["a/b.txt"]
    assert names(Path("in/a"), Path("../there")) == ["here/in/a/b.txt", "there/in/a/b.txt"]


def test_hidden_files_links_to_folders_and_pipes_are_not_read_and_told(tmp_path: Path) -> None:
    made(tmp_path, "in/a.txt", "in/.secret", "in/.git/config", "else/b.txt")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    os.mkfifo(tmp_path / "in" / "pipe")
    told: list[str] = []

    assert names(tmp_path / "in", told=told) == ["a.txt"]
    inside = tmp_path / "in"
    assert told == [
        f"hidden files and folders are not read: 2, such as {inside}/.git",
        f"links to folders are not read: {inside}/loop",
        f"pipes and devices are not read: {inside}/pipe",
    ]


def test_what_is_written_into_the_folder_is_not_read_though_it_appears_late(tmp_path: Path) -> None:
    made(tmp_path, "a.txt", "b/c.txt", "run/ledger.jsonl")
    told: list[str] = []
    output = tmp_path / "z" / "answers.jsonl"
    found = []

    for file in Inputs([tmp_path], told.append, leave_out=(output, tmp_path / "run")):
        found.append(file.name)
        made(tmp_path, "z/answers.jsonl", "z/d.txt")

    assert found == ["a.txt", "b/c.txt"]
    assert names(tmp_path, leave_out=(output, tmp_path / "run")) == ["a.txt", "b/c.txt", "z/d.txt"]
    assert told == [f"files that are written are not read: {tmp_path}/run"]


def test_a_folder_or_file_that_may_not_be_read_is_found_with_its_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path, "a/b.txt", "c.txt")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")

    listed = os.listdir

    def refuse(folder: str) -> list[str]:
        if folder.endswith("a"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return listed(folder)

    monkeypatch.setattr("os.listdir", refuse)

    faults = {file.name: file.fault for file in Inputs([tmp_path])}

    assert "Permission denied" in faults["a"]
    assert "No such file" in faults["gone"]
    assert faults["c.txt"] == ""


def test_a_pattern_finds_files_that_match_it(tmp_path: Path) -> None:
    made(tmp_path, "x/a.eml", "x/y/b.eml", "x/c.txt", "[1].eml", "x/.hidden.eml")

    assert names(tmp_path / "**" / "*.eml") == ["[1].eml", "x/a.eml", "x/y/b.eml"]
    assert names(tmp_path / "[1].eml") == ["[1].eml"]
    # Of one that matches a single file too: tomorrow there may be more.
    assert names(tmp_path / "x" / "*" / "*.eml") == ["y/b.eml"]
    assert not Inputs([tmp_path / "x" / "*.txt"]).alone
    assert Inputs([tmp_path / "x" / "c.txt"]).alone


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("*.pdf",), "no file matches"),
        (("a.txt", "b.txt"), "b.txt: No such file"),
        (("a.txt", "./a.txt"), "given twice"),
        (("in", "in/c.txt"), "given twice"),
        (("-", "-"), "given twice"),
    ],
)
def test_what_is_not_there_or_given_twice_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], said: str
) -> None:
    made(tmp_path, "a.txt", "in/c.txt")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SettingsError, match=said):
        Inputs([Path(one) for one in given])


def test_a_folder_of_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="no file to read"):
        names(tmp_path)


def test_all_sizes_are_counted_where_they_are_known(tmp_path: Path) -> None:
    made(tmp_path, "a.txt", "b/c.txt")

    assert Inputs([tmp_path]).total_bytes == len("a.txt") + len("b/c.txt")
    assert Inputs([tmp_path, Path("/dev/null")]).total_bytes is None


def test_a_name_that_is_too_long_for_an_id_keeps_its_end_and_stays_unlike_others() -> None:
    long = [InputFile(Path(), letter + "x" * 300 + ".pdf", 0) for letter in "ab"]
    first, second = (file.id(7) for file in long)

    assert len(first) == len(second) == 256
    assert first != second
    assert first.endswith("x.pdf#7")
    assert InputFile(Path(), "a.pdf", 0).id() == "a.pdf"


def test_bytes_of_a_name_that_are_not_utf8_are_escaped(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt")).write_text("a", "utf-8")

    assert names(tmp_path) == ["caf\\xe9.txt"]


def test_a_pattern_finds_a_file_once_in_however_many_ways(tmp_path: Path) -> None:
    made(tmp_path, "a.txt", "in/deep/b.txt")

    assert names(tmp_path / "**/**/*.txt") == ["a.txt", "in/deep/b.txt"]
