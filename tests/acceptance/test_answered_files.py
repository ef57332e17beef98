"""Files as users have them: read as what they are, and no output harmed, whatever goes wrong."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import ROOT, STREAMPROC, environment, streamproc

TEXTS = [f"film number {number} was {'awful' if number % 3 else 'lovely'}" for number in range(5)]


def answers(output: str | bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def run_bytes(*arguments: str | Path, stdin: bytes, **settings: str) -> tuple[int, bytes, str]:
    """`streamproc run` of bytes on standard input, in an environment of another encoding."""
    done = subprocess.run(
        [*STREAMPROC, "run", *map(str, arguments)],
        cwd=ROOT,
        env=environment(settings) | {"LC_ALL": "C", "PYTHONIOENCODING": "latin-1"},
        input=stdin,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.mark.parametrize(
    ("name", "content", "options", "said"),
    [
        ("gone.jsonl", None, (), "gone.jsonl: No such file"),
        ("a.csv", b"review\nfine\n", (), "a column called text"),
        ("a.csv", b"text\n" + b"d\xe9cevant\n", (), "line 2: not UTF-8"),
        ("a.jsonl.gz", gzip.compress(b'{"text": "a"}\n' * 99, mtime=0)[:40], (), "broken gzip"),
        ("a.json", b'[{"text": "a"} 3]', ("--ensemble", "nosuch"), "nosuch"),
        ("same.jsonl", b'{"text": "a"}\n', (), "is what is read"),
        ("folder.jsonl/.x", b"", (), "no file to read in"),
    ],
)
def test_a_run_that_can_not_be_done_says_so_in_a_line_and_harms_no_file(
    tmp_path: Path, name: str, content: bytes | None, options: tuple[str, ...], said: str
) -> None:
    path, output = tmp_path / name, tmp_path / "answers.jsonl"
    path.parent.mkdir(exist_ok=True)
    if content is not None:
        path.write_bytes(content)
    if name.endswith("/.x"):
        path = path.parent
    if name == "same.jsonl":
        output.symlink_to(path)
    else:
        output.write_text("yesterday's answers", "utf-8")
    before = {file: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()}

    done = streamproc("run", path, "-o", output, *options)

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert {file: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()} == before


def test_the_same_rows_in_any_layout_get_the_same_answers_from_a_file_and_from_a_pipe(
    tmp_path: Path,
) -> None:
    rows = [{"id": number, "text": text} for number, text in enumerate(TEXTS)]
    layouts = {
        "a.json": json.dumps(rows, indent=2),
        "a.tsv": "id\ttext\n" + "".join(f"{row['id']}\t{row['text']}\n" for row in rows),
    }
    found = []
    for name, content in layouts.items():
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + content.encode())
        done = streamproc("run", tmp_path / name)
        assert done.returncode == 0, done.stderr
        found.append([(int(one["id"]), one["result"]) for one in answers(done.stdout)])
    packed = gzip.compress(b"\xef\xbb\xbf" + layouts["a.json"].encode())
    code, output, said = run_bytes("-", stdin=packed)
    assert code == 0, said
    found.append([(one["id"], one["result"]) for one in answers(output)])

    assert [id_ for id_, _ in found[0]] == [0, 1, 2, 3, 4]
    assert all(one == found[0] for one in found)


def test_bytes_on_standard_input_are_read_as_utf8_whatever_the_environment_says() -> None:
    wide = "naïve 🙂"

    code, output, said = run_bytes("-", stdin=b"\xef\xbb\xbf" + wide.encode())
    wrong, _, refused = run_bytes("-", stdin=wide.encode("utf-16-le"), LOG_LEVEL="info")
    named, latin, _ = run_bytes("-", "--encoding", "latin-1", stdin="décevant".encode("latin-1"))

    assert code == 0, said
    assert [one["coverage"]["characters"] for one in answers(output)] == [len(wide)]
    assert wrong == 2
    assert "no text" in refused
    assert named == 0
    assert [one["coverage"]["characters"] for one in answers(latin)] == [8]


def test_rows_that_are_wrong_are_errors_that_name_their_line_and_the_rest_is_answered(
    tmp_path: Path,
) -> None:
    table = tmp_path / "a.csv"
    table.write_text(
        "id,text,ensemble,deadline_ms,metadata,film\n"
        'a,fine,,,"{""k"": 1.10, ""n"": 12345678901234567890123}",x\nb\n'
        "c,fine,nosuch,1,,y\nd,good film, really,,,,z\n",
        "utf-8",
    )

    done = streamproc("run", table)

    assert done.returncode == 1
    a, b, c, d = answers(done.stdout)
    assert a["status"] == "ok"
    assert '"metadata":{"k": 1.10, "n": 12345678901234567890123}' in done.stdout
    assert (b["id"], b["error"]["detail"]) == ("b", "line 3: 6 columns expected, found 1")
    assert "nosuch" in c["error"]["detail"]
    assert (d["id"], d["error"]["type"]) == ("d", "unreadable")
    assert "columns that are not used: film" in done.stderr
    assert "2 unreadable" in done.stderr


def test_a_reason_that_all_rows_share_is_said_once(tmp_path: Path) -> None:
    lines = tmp_path / "a.jsonl"
    lines.write_text('{"text": "a", "ensemble": "nosuch"}\n' * 40, "utf-8")

    done = streamproc("run", lines)

    assert done.returncode == 1
    assert done.stderr.count("nosuch") == 1
    assert "40 of 40: invalid: unknown ensemble" in done.stderr


def test_a_full_device_and_a_closed_pipe_are_told_in_a_line(requests_file: Path) -> None:
    full = streamproc("run", requests_file, "-o", "/dev/full")
    command = f"{' '.join(STREAMPROC)} run {requests_file} | head -c 10"
    closed = subprocess.run(
        ["bash", "-c", command], env=environment({}), cwd=ROOT, capture_output=True, check=False
    )

    assert full.returncode == 2
    assert "can't write to /dev/full: No space left on device" in full.stderr
    assert "Traceback" not in full.stderr
    assert b"Traceback" not in closed.stderr
    assert b"Exception ignored" not in closed.stderr


def test_what_was_answered_before_ctrl_c_or_sigterm_is_kept_and_not_asked_again(
    tmp_path: Path,
) -> None:
    texts, output = tmp_path / "texts.txt", tmp_path / "answers.jsonl"
    count = 200
    texts.write_text("".join(f"{n} good film " * 60 + "\n" for n in range(count)), "utf-8")
    output.write_text("yesterday's answers", "utf-8")
    kept = tmp_path / "answers.jsonl.part"
    command = ("run", texts, "-o", output)
    lines = 0

    for number in (signal.SIGINT, signal.SIGTERM):
        running = subprocess.Popen(
            [*STREAMPROC, *map(str, command)], cwd=ROOT, env=environment({}), stderr=subprocess.PIPE
        )
        deadline = time.monotonic() + 100
        while not kept.exists() or kept.read_bytes().count(b"\n") < lines + 5:
            assert time.monotonic() < deadline
            assert running.poll() is None, running.stderr and running.stderr.read()
            time.sleep(0.05)
        running.send_signal(number)
        _, said = running.communicate(timeout=60)
        assert running.returncode == 128 + number
        lines = kept.read_bytes().count(b"\n")
        assert f"{lines} answers are kept in {kept}".encode() in said
        assert b"Traceback" not in said
        assert output.read_text("utf-8") == "yesterday's answers"

    done = streamproc(*command)

    assert done.returncode == 0, done.stderr
    assert f"{count} answered, {lines} of them by a run before" in done.stderr
    rows = answers(output.read_bytes())
    assert [row["id"] for row in rows] == [str(n) for n in range(1, count + 1)]
    assert {row["status"] for row in rows} == {"ok"}
    assert sorted(os.listdir(tmp_path)) == ["answers.jsonl", "texts.txt"]  # noqa: PTH208
