"""What `streamproc run` answers, as comparisons with others' answers need it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from tests.support.command import streamproc


def answers_of_run(
    task: str,
    models: Path,
    ensemble: str,
    requests: Sequence[dict[str, Any]],
    folder: Path,
    *,
    exits: Sequence[int] = (0,),
    settings: Mapping[str, str] | None = None,
    timeout_s: float = 3600,
) -> list[dict[str, Any]]:
    """The answers in the order of requests, all of them asked at once.

    folder: for files; exits: what it may exit with
    """
    asked, answers = folder / "requests.jsonl", folder / "answers.jsonl"
    asked.write_bytes(b"".join(orjson.dumps(request) + b"\n" for request in requests))
    done = streamproc(
        *("run", asked, "-o", answers, "--task", task),
        *("--models-dir", models, "--ensemble", ensemble),
        settings=settings,
        timeout_s=timeout_s,
    )
    assert done.returncode in exits, done.stderr
    return list(map(orjson.loads, answers.read_bytes().splitlines()))
