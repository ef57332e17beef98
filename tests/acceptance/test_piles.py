"""Thousands of documents and millions of rows: killed, resumed, in order, in memory that is flat.

Each prints what it measured: `pytest -m nightly -s tests/acceptance/test_piles.py`.
"""

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
from tests.support.piles import PileFile, make_documents, make_table

pytestmark = pytest.mark.nightly
SCRIPTED = (sys.executable, "-m", "tests.support.scripted_run")


class MeasuredRun:
    """A command in a process of its own, of which the most memory is known at its end."""

    def __init__(self, log: Path, *command: str | Path) -> None:
        self._log = log
        with log.open("wb") as said:
            self._process = subprocess.Popen(
                list(map(str, command)), cwd=ROOT, env=environment({}), stderr=said
            )

    def kill_at(self, ledger: Path, size_bytes: int) -> None:
        """Kill it once the kept answers are that large."""
        while not ledger.exists() or ledger.stat().st_size < size_bytes:
            assert self._process.poll() is None, self.said
            time.sleep(0.05)
        self._process.send_signal(signal.SIGKILL)
        assert self._process.wait() == -signal.SIGKILL

    def end(self) -> tuple[int, float]:
        """What it exits with, and the most MiB that it has taken."""
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return self._process.returncode, usage.ru_maxrss / 1024

    @property
    def said(self) -> str:
        return self._log.read_text("utf-8", "replace")


def tell(what: str) -> None:
    print(what)  # noqa: T201 - it is what is measured


def expected_sources(files: list[PileFile]) -> list[tuple[str, int | None]]:
    """Of each row in the order of the input its file, and its number where the file has several."""
    found: list[tuple[str, int | None]] = []
    for file in files:
        rows = range(1, file.rows + 1) if file.rows and file.name.endswith(".jsonl") else [None]
        found += [(file.name, row) for row in rows]
    return found


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_five_thousand_documents_killed_three_times_are_each_answered_once_and_in_order(
    tmp_path: Path, ending: str
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    seed = random.randrange(2**32)
    tell(f"seed {seed}")
    chance = random.Random(seed)
    folder, output = tmp_path / "pile", tmp_path / f"answers.{ending}"
    files = make_documents(folder, 5_000, seed)
    sources = expected_sources(files)
    bad = {file.name for file in files if file.rows is None}
    ledger = tmp_path / f"{output.name}.part"
    command = (*STREAMPROC, "run", folder, "-o", output)

    for kill in range(3):
        size = chance.randrange(kill * 1_000_000 + 100_000, (kill + 1) * 1_000_000)
        MeasuredRun(tmp_path / "said", *command).kill_at(ledger, size)
        assert not output.exists()
    kept = ledger.read_bytes().count(b"\n")
    last = MeasuredRun(tmp_path / "said", *command)
    code, peak_mib = last.end()
    tell(f"{ending}: {kept:,} kept of {len(sources):,}; {peak_mib:.0f} MiB; {last.said}")

    assert code == 1
    assert f"{len(sources):,} answered, {kept:,} of them by a run before" in last.said
    rows: list[dict[str, Any]]
    if ending == "parquet":
        names = ["id", "source_file", "source_row", "status", "error_detail"]
        rows = parquet.read_table(output, columns=names).to_pylist()
    else:
        rows = [
            {
                "id": answer["id"],
                "source_file": answer["source"]["file"],
                "source_row": answer["source"]["row"],
                "status": answer["status"],
                "error_detail": answer.get("error", {}).get("detail"),
            }
            for answer in map(orjson.loads, output.read_bytes().splitlines())
        ]
    assert [(row["source_file"], row["source_row"]) for row in rows] == sources
    assert len({row["id"] for row in rows}) == len(rows)
    assert {row["source_file"] for row in rows if row["status"] == "error"} == bad
    assert all(row["source_file"] in row["error_detail"] for row in rows if row["error_detail"])
    lines = [orjson.loads(line)["row"] for line in ledger.read_bytes().splitlines()]
    assert sorted(lines) == list(range(1, len(sources) + 1)), "each row was answered once"


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_two_million_rows_take_the_memory_that_a_tenth_of_them_takes(
    tmp_path: Path, ending: str
) -> None:
    """The models are a script: theirs is not what is measured, and would take hours."""
    peaks = {}
    for rows in (200_000, 2_000_000):
        table, output = tmp_path / f"{rows}.csv", tmp_path / f"{rows}.{ending}"
        make_table(table, rows)
        command = (*SCRIPTED, table, "--output", output, "--keep-columns")
        killed = MeasuredRun(tmp_path / "said", *command)
        killed.kill_at(tmp_path / f"{output.name}.part", rows * 300)
        last = MeasuredRun(tmp_path / "said", *command)
        code, peaks[rows] = last.end()
        tell(f"{ending}, {rows:,} rows: {peaks[rows]:.0f} MiB; {last.said}")
        assert code == 0
        assert f"{rows:,} answered" in last.said
        output.unlink()

    assert peaks[2_000_000] < 1.1 * peaks[200_000]
