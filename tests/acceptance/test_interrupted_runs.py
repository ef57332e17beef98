"""Runs that are killed at any moment lose no answer, ask nothing twice, and end as others do."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.command import ROOT, STREAMPROC, environment
from tests.support.scripted_run import scripted_response

SCRIPTED = (sys.executable, "-m", "tests.support.scripted_run")


def lines_of(file: Path) -> list[dict[str, Any]]:
    return list(map(orjson.loads, file.read_bytes().splitlines()))


def start(*command: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        list(map(str, command)),
        cwd=ROOT,
        env=environment({}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def wait_for_lines(running: subprocess.Popen[str], ledger: Path, count: int) -> None:
    deadline = time.monotonic() + 100
    while not ledger.exists() or ledger.read_bytes().count(b"\n") < count:
        assert time.monotonic() < deadline
        assert running.poll() is None, running.stderr and running.stderr.read()
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_a_run_that_is_killed_three_times_at_random_answers_every_row_once_and_in_order(
    tmp_path: Path, ending: str
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - to have the same kills again
    chance = random.Random(seed)
    count = 5_000
    texts = [f"text {n}{' poison' if n % 97 == 0 else ''}" for n in range(count)]
    source, output = tmp_path / "rows.csv", tmp_path / f"answers.{ending}"
    rows = "".join(f"r{n},{text},{n % 7}\n" for n, text in enumerate(texts))
    source.write_text(f"id,text,stars\n{rows}", "utf-8")
    ledger = tmp_path / f"{output.name}.part"
    command = (*SCRIPTED, source, "--output", output, "--keep-columns", "--late", "0.2")

    kept = 0
    for kill in range(3):
        running = start(*command)
        least = chance.randrange(1 + kill * count // 4, (kill + 1) * count // 4)
        wait_for_lines(running, ledger, least)
        running.send_signal(signal.SIGKILL)
        running.communicate(timeout=60)
        assert running.returncode == -signal.SIGKILL
        assert not output.exists()
        whole = ledger.read_bytes().rpartition(b"\n")[0].splitlines()
        assert len(whole) >= kept
        assert len({orjson.loads(line)["row"] for line in whole}) == len(whole)
        kept = len(whole)
    done = start(*command)
    _, said = done.communicate(timeout=100)

    assert done.returncode == 1  # some have errors
    assert f"{count:,} answered, {kept:,} of them by a run before" in said
    if ending == "jsonl":
        expected = [
            scripted_response(f"r{n}", text)
            | {"columns": {"id": f"r{n}", "text": text, "stars": str(n % 7)}}
            for n, text in enumerate(texts)
        ]
        assert lines_of(output) == expected
    else:
        parquet = pytest.importorskip("pyarrow.parquet")
        table = parquet.read_table(output)
        assert table["id"].to_pylist() == [f"r{n}" for n in range(count)]
        assert table["text"].to_pylist() == texts
        assert table["label"].to_pylist() == [
            (scripted_response("", text).get("result") or {}).get("label") for text in texts
        ]
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == sorted([output.name, ledger.name, source.name])


def test_a_run_killed_while_it_writes_the_output_asks_nothing_and_writes_it_again(
    tmp_path: Path,
) -> None:
    source, output = tmp_path / "rows.txt", tmp_path / "answers.jsonl"
    source.write_text("".join(f"text {n}\n" for n in range(3_000)), "utf-8")
    output.write_text("yesterday's answers", "utf-8")
    command = (*SCRIPTED, source, "--output", output)
    running = start(*command, "--killed-after-writing", "1000")
    running.communicate(timeout=100)
    assert running.returncode == -signal.SIGKILL
    assert output.read_text("utf-8") == "yesterday's answers"

    done = start(*command)
    _, said = done.communicate(timeout=100)

    assert done.returncode == 0, said
    assert "3,000 answered, 3,000 of them by a run before" in said
    assert [answer["id"] for answer in lines_of(output)] == [str(n) for n in range(1, 3_001)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [output.name, source.name]


def test_two_runs_at_once_are_refused_in_a_sentence(tmp_path: Path) -> None:
    source, output = tmp_path / "rows.txt", tmp_path / "answers.jsonl"
    source.write_text("".join(f"text {n}\n" for n in range(1_000_000)), "utf-8")
    command = (*SCRIPTED, source, "--output", output)
    first = start(*command)
    wait_for_lines(first, tmp_path / "answers.jsonl.part", 1)

    second = start(*command)
    _, refused = second.communicate(timeout=60)
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=60)

    assert second.returncode == 2
    assert refused.count("\n") == 1
    assert "is being written by another run; wait for it" in refused
    assert first.returncode == 130, said[-600:]
    assert "the same command resumes from there" in said


def test_a_second_ctrl_c_ends_the_run_at_once_and_keeps_what_was_answered(tmp_path: Path) -> None:
    texts, output = tmp_path / "texts.txt", tmp_path / "answers.jsonl"
    texts.write_text("".join(f"{n} good film " * 60 + "\n" for n in range(400)), "utf-8")
    ledger = tmp_path / "answers.jsonl.part"
    running = start(*STREAMPROC, "run", texts, "-o", output)
    wait_for_lines(running, ledger, 3)

    os.kill(running.pid, signal.SIGINT)
    os.kill(running.pid, signal.SIGINT)
    for _ in range(50):  # the first may be waited for by what has not begun to take the second
        if running.poll() is not None:
            break
        time.sleep(0.1)
        os.kill(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=60)

    assert running.returncode in {130, -signal.SIGINT}
    assert "Traceback" not in said
    assert ledger.read_bytes().count(b"\n") >= 3


@pytest.mark.parametrize("retry", [False, True])
def test_after_a_run_with_errors_the_same_command_asks_nothing_or_only_what_has_errors(
    tmp_path: Path, retry: bool
) -> None:
    source, output = tmp_path / "rows.jsonl", tmp_path / "answers.jsonl"
    rows = [{"id": "a", "text": "good"}, {"id": "b", "text": "poison"}, {"id": "c", "text": "bad"}]
    source.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    command = (*SCRIPTED, source, "--output", output)
    first = start(*command)
    _, said = first.communicate(timeout=60)
    assert f"{output}.part keeps the answers: the same command with --retry-errors" in said

    again = start(*command, *(("--retry-errors",) if retry else ()))
    _, said = again.communicate(timeout=60)

    assert first.returncode == again.returncode == 1
    assert f"3 answered, {2 if retry else 3} of them by a run before" in said
    assert "1 failed: poison: the script says so" in said
    assert lines_of(output) == [scripted_response(row["id"], row["text"]) for row in rows]
