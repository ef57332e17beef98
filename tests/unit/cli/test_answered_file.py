"""What `run` and `submit` show while a file is answered."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import orjson
import pytest

from streamproc.cli import answered_file
from streamproc.cli.terminal import stderr_console
from streamproc.messages.client import ResponseBody
from streamproc.offline.bulk.job import open_bulk_job
from streamproc.serving.tasks.catalogue import task_named


class Echo:
    async def ask_json(self, body: bytes) -> tuple[ResponseBody, bytes]:
        response: ResponseBody = {"id": "its own", "task": "t", "status": "ok"}
        return response, orjson.dumps(response)


@pytest.mark.parametrize("to_file", [False, True])
def test_no_bar_is_drawn_over_answers_that_the_terminal_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to_file: bool
) -> None:
    shown: list[bool] = []

    @asynccontextmanager
    async def progress_shown(*_: object) -> AsyncIterator[None]:
        shown.append(True)
        yield

    monkeypatch.setattr(answered_file, "progress_shown", progress_shown)
    asked = tmp_path / "asked.jsonl"
    asked.write_text('{"text":"fine"}\n', "utf-8")
    output = tmp_path / "answers.jsonl" if to_file else None
    terminal, its_end = os.openpty()
    with os.fdopen(its_end, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        job = open_bulk_job([asked], output, task_named("text-classification"), lambda _: None)
        answered_file.answer_file(job, nullcontext(Echo()), 1, stderr_console())
        read = b"" if to_file else os.read(terminal, 1000)
    os.close(terminal)

    assert bool(shown) == to_file
    assert (b'"status":"ok"' in read) != to_file
