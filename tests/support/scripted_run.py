"""`python -m tests.support.scripted_run`: `streamproc run` whose models are a script.

What it does with rows, answers and files is what the command does, at the speed of a model that
takes no time; so it is what a test kills many times, and what memory is measured of.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import typer

from streamproc.cli.answered_file import answer_file
from streamproc.cli.terminal import stderr_console
from streamproc.errors import OperatorError
from streamproc.messages.client import ResponseBody
from streamproc.offline.bulk.job import open_bulk_job
from streamproc.offline.bulk.output_options import OutputOptions
from streamproc.offline.bulk.resumable_file import ResumableFile
from streamproc.serving.tasks.catalogue import task_named

TASK = "text-classification"
_MEMBERS = [{"name": f"part-{n}-of-3", "version": "1", "status": "ok"} for n in (1, 2, 3)]


class ScriptedModels:
    """Answers by what a text says, now and then late, so that answers come in another order."""

    def __init__(self, late: float) -> None:
        """late: share of the answers that others overtake"""
        self._late, self._random = late, random.Random(0)
        self._tokens = 0

    async def ask_json(self, body: bytes) -> tuple[ResponseBody, bytes]:
        """The response, and its JSON."""
        if self._random.random() < self._late:
            await asyncio.sleep(self._random.random() / 100)
        asked = orjson.loads(body)
        text = asked["text"]
        self._tokens += len(text) // 5 + 2
        response = scripted_response(asked.get("id", "its own"), text)
        return response, orjson.dumps(response)

    def tokens_run(self) -> int:
        """As many as such a text usually has."""
        return self._tokens


def scripted_response(request_id: str, text: str) -> ResponseBody:
    """The answer to a text; one that has "poison" in it gets an error."""
    response: ResponseBody = {"id": request_id, "task": TASK, "status": "ok"}
    if "poison" in text:
        response["status"] = "error"
        response["error"] = {"type": "failed", "title": "poison", "detail": "the script says so"}
        return response
    score = (sum(text.encode()) % 1000) / 1000
    scores = {"negative": 1 - score, "positive": score}
    label = max(scores, key=lambda name: scores[name])
    response |= {
        "ensemble": "script",
        "manifest": "0" * 64,
        "result": {"label": label, "score": scores[label], "scores": scores},
        "members": _MEMBERS,  # type: ignore[typeddict-item]
        "agreement": 1.0,
        "entropy": score / 2,
        "coverage": {
            "chunks": 1,
            "characters": len(text),
            "characters_covered": len(text),
            "truncated": False,
        },
        "timing": {"queue_ms": 1.5, "inference_ms": 2.5, "total_ms": 4.25},
    }
    return response


@asynccontextmanager
async def _opened(models: ScriptedModels) -> AsyncIterator[ScriptedModels]:
    yield models


def _kill_while_writing(answers: int) -> None:
    finish = ResumableFile.finish

    def killed(self: ResumableFile) -> Generator[int]:
        for written in finish(self):
            if written >= answers:
                os.kill(os.getpid(), signal.SIGKILL)
            yield written

    ResumableFile.finish = killed  # type: ignore[method-assign]


def main() -> None:
    """Answer files; exits as `streamproc run` does."""
    parser = argparse.ArgumentParser(prog="tests.support.scripted_run", description=__doc__)
    parser.add_argument("inputs", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--keep-columns", action="store_true")
    parser.add_argument("--retry-errors", action="store_true")
    parser.add_argument("--late", type=float, default=0.0)
    parser.add_argument("--killed-after-writing", type=int, metavar="ANSWERS")
    given = parser.parse_args()
    if given.killed_after_writing is not None:
        _kill_while_writing(given.killed_after_writing)
    console = stderr_console()
    job = open_bulk_job(
        given.inputs,
        given.output,
        task_named(TASK),
        console.print,
        writing=OutputOptions(retry_errors=given.retry_errors, keep_columns=given.keep_columns),
        asked=(TASK, None, "script"),
    )
    try:
        answer_file(
            job, _opened(ScriptedModels(given.late)), 1024, console, outstanding_bytes=512 << 10
        )
    except typer.Exit as end:
        sys.exit(end.exit_code)
    except OperatorError as error:
        console.print(str(error))
        sys.exit(2)


if __name__ == "__main__":
    main()
