"""`streamproc train` in a process of its own, which can be killed, and what it has left."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from streamproc.offline.training.log import read_log

REPOSITORY = Path(__file__).parents[2]


def command(corpus: Path, base: Path, out: Path, *more: str) -> list[str]:
    """Training of two members on the tiny corpus; a checkpoint every third step."""
    return [
        sys.executable,
        "-m",
        "streamproc",
        "train",
        "--ensemble=tiny",
        f"--corpus={corpus / 'train.jsonl'}",
        f"--valid={corpus / 'valid.jsonl'}",
        "--label=0=negative",
        "--label=1=positive",
        f"--base={base}",
        f"--out={out / 'models'}",
        f"--work={out / 'work'}",
        "--partition-by=hash:2",
        "--layers=0,2",
        "--ffn-width=32",
        "--vocabulary=300",
        "--window=32",
        "--overlap=8",
        "--epochs=6",
        "--patience=6",
        "--seed-model-learning-rate=5e-3",
        "--batch=16",
        "--learning-rate=5e-3",
        "--checkpoint-steps=3",
        "--threads=1",
        *more,
    ]


def start(arguments: list[str]) -> subprocess.Popen[str]:
    """The command, in a process group of its own."""
    return subprocess.Popen(
        arguments,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(arguments: list[str]) -> str:
    """Run it to its end, which must be a good one; what it said."""
    running = start(arguments)
    said, _ = running.communicate()
    assert running.returncode == 0, said
    return said


def kill(running: subprocess.Popen[str]) -> None:
    """Kill the command and what it has started, as a machine that goes down does."""
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()


def told(run: Path, part: str, kind: str) -> list[dict[str, object]]:
    """The log's lines of one kind, of a member or the seed model."""
    return [one for one in read_log(run / part) if one["kind"] == kind]


def digests(models: Path) -> dict[str, str]:
    """Of every file of a repository."""
    return {
        path.relative_to(models).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(models.rglob("*"))
        if path.is_file()
    }
