from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import orjson
import pytest

from streamproc.errors import OperatorError, SettingsError
from streamproc.offline.bulk.answer_counts import AnswerCounts
from streamproc.offline.bulk.answer_format import JsonLines
from streamproc.offline.bulk.output import is_file, refuse_same_file
from streamproc.offline.bulk.request_rows import RequestRow
from streamproc.offline.bulk.resumable_file import ResumableFile


class Stopped(Exception):
    pass


def row(number: int, text: str = "text") -> RequestRow:
    return RequestRow(number, str(number), f"{text} {number}".encode())


def answer(number: int, status: str = "ok") -> bytes:
    return orjson.dumps({"id": str(number), "status": status})


def part(output: Path, asked: bytes = b"", **how: bool) -> ResumableFile:
    return ResumableFile(output, asked, AnswerCounts(), JsonLines(), **how)


def finished(output: ResumableFile) -> None:
    for _ in output.finish():
        pass


def interrupted(output: Path, numbers: Sequence[int], *, of: int, status: str = "ok") -> str:
    """Answer some rows, in that order, then stop; returns what is said."""
    made = part(output)
    with suppress(Stopped), made:
        found = {one.number: one for one in made.left([row(n) for n in range(1, of + 1)])}
        for number in numbers:
            made.write(found[number], answer(number, status))
        raise Stopped
    return made.kept(len(numbers))


def test_answers_take_the_place_of_the_output_in_the_order_of_rows(tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    output.write_text("yesterday's")
    output.chmod(0o600)

    with part(output) as made:
        one, two, three = made.left([row(1), row(2), row(3)])
        for each in (three, one, two):
            made.write(each, answer(each.number))
            assert output.read_text() == "yesterday's"
        assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
        finished(made)

    assert output.read_bytes() == b"".join(answer(n) + b"\n" for n in (1, 2, 3))
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [output]


def test_what_was_answered_before_an_interruption_is_not_asked_again(tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    output.write_text("yesterday's")

    said = interrupted(output, [3, 1], of=4)

    assert output.read_text() == "yesterday's"
    assert f"2 answers are kept in {output}.part" in said
    with part(output) as again:
        left = list(again.left([row(1), row(2), row(3), row(4)]))
        assert [one.number for one in left] == [2, 4]
        for one in left:
            again.write(one, answer(one.number))
        finished(again)
    assert output.read_bytes() == b"".join(answer(n) + b"\n" for n in (1, 2, 3, 4))


def test_answers_that_a_resumed_run_has_not_come_to_yet_are_told_as_kept_too(
    tmp_path: Path,
) -> None:
    output, rows = tmp_path / "answers.jsonl", [row(n) for n in range(1, 5)]
    interrupted(output, [1, 2, 3], of=4)
    at_once, later = part(output), part(output)

    with suppress(Stopped), at_once:
        raise Stopped
    with suppress(Stopped), later:
        later.write(next(later.left(reversed(rows))), answer(4))
        raise Stopped

    assert at_once.kept(0).startswith(f"all answers are kept in {output}.part")
    assert later.kept(1).startswith(f"4 answers are kept in {output}.part")


def test_an_answer_whose_metadata_no_parser_takes_is_kept_too(tmp_path: Path) -> None:
    output, asked = tmp_path / "answers.jsonl", [row(1), row(2)]
    with suppress(Stopped), part(output) as made:
        made.write(next(made.left(asked)), b'{"id":"1","status":"ok","metadata":[1e400]}')
        raise Stopped

    with part(output) as again:
        assert [one.number for one in again.left(asked)] == [2]


def test_a_line_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    interrupted(output, [1, 2], of=2)
    kept = tmp_path / "answers.jsonl.part"
    kept.write_bytes(kept.read_bytes()[:-5])

    with part(output) as again:
        assert [one.number for one in again.left([row(1), row(2)])] == [2]


def test_rows_that_changed_errors_and_other_questions_are_asked_again(tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    interrupted(output, [1, 2], of=2)

    with part(output, asked=b"another ensemble") as other:
        assert [one.number for one in other.left([row(1), row(2)])] == [1, 2]
    with part(output) as changed:
        left = changed.left([row(1, "another text"), row(2), row(3)])
        assert [one.number for one in left] == [1, 3]

    interrupted(tmp_path / "failed.jsonl", [1, 2], of=2, status="error")
    with part(tmp_path / "failed.jsonl", retry_errors=True) as failed:
        assert [one.number for one in failed.left([row(1), row(2)])] == [1, 2]


def test_fresh_begins_anew(tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    interrupted(output, [1, 2], of=2)

    with part(output, fresh=True) as anew:
        assert [one.number for one in anew.left([row(1), row(2)])] == [1, 2]


def test_rows_that_are_no_longer_there_leave_no_answer(tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    interrupted(output, [1, 2, 3], of=3)

    with part(output) as again:
        assert list(again.left([row(1), row(2)])) == []
        finished(again)

    assert output.read_bytes() == b"".join(answer(n) + b"\n" for n in (1, 2))


def test_nothing_is_left_where_nothing_was_answered(tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"

    said = interrupted(output, [], of=3)

    assert said == f"no row was answered; {output} is as it was"
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_that_name_that_is_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "answers.jsonl.part"
    other.write_text("a recipe\n")

    with pytest.raises(SettingsError, match="is none of streamproc's: move it"):
        part(tmp_path / "answers.jsonl").__enter__()

    assert other.read_text() == "a recipe\n"


def test_two_runs_do_not_write_one_file(tmp_path: Path) -> None:
    output = tmp_path / "answers.jsonl"
    with part(output), pytest.raises(SettingsError, match="another run"), part(output):
        pass


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "a.jsonl", tmp_path / "link.jsonl"
    target.write_text("yesterday's")
    link.symlink_to(target)

    with part(link) as made:
        (one,) = made.left([row(1)])
        made.write(one, answer(1))
        finished(made)

    assert link.is_symlink()
    assert target.read_bytes() == answer(1) + b"\n"


def test_an_output_that_can_not_be_written_is_told_and_stays(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no folder"):
        is_file(tmp_path / "nowhere" / "a.jsonl")
    with pytest.raises(SettingsError, match="it is a folder"):
        is_file(tmp_path)
    assert not is_file(Path(os.devnull))
    (tmp_path / "a.jsonl.part").mkdir()
    with pytest.raises(OperatorError, match="Is a directory"):
        part(tmp_path / "a.jsonl").__enter__()


def test_what_is_read_is_not_written_whatever_it_is_called(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text("{}")
    (tmp_path / "hard.jsonl").hardlink_to(source)
    (tmp_path / "soft.jsonl").symlink_to(source)

    for name in ("in.jsonl", "hard.jsonl", "soft.jsonl", "../" + tmp_path.name + "/in.jsonl"):
        with pytest.raises(SettingsError, match="is what is read"):
            refuse_same_file(source, tmp_path / name)
    refuse_same_file(source, tmp_path / "out.jsonl")
    refuse_same_file(Path(os.devnull), Path(os.devnull))
