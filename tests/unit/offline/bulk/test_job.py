"""Rows of a file through a client to an output."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import orjson
import pytest

from streamproc.clock import SystemClock
from streamproc.errors import TooLarge
from streamproc.messages.client import ResponseBody
from streamproc.offline.bulk.job import BulkJob, JsonClient, open_bulk_job
from streamproc.serving.tasks.catalogue import task_named
from streamproc.testing import MemoryBroker, build_pipeline
from streamproc.worker.local_client import LocalClient


class Echo:
    """Answers with what it was asked; refuses a row about "large"."""

    async def ask_json(self, body: bytes) -> tuple[ResponseBody, bytes]:
        if b"large" in body:
            raise TooLarge("request too large", "9 bytes")
        response: ResponseBody = {"id": "its own", "task": "t", "status": "ok"}
        return response, orjson.dumps({**response, "asked": orjson.Fragment(body)})


async def answered(
    folder: Path, rows: bytes, client: JsonClient, ensemble: str | None = None
) -> tuple[BulkJob, list[dict[str, object]]]:
    source, output = folder / "rows.jsonl", folder / "answers.jsonl"
    source.write_bytes(rows)
    with open_bulk_job([source], output, task_named("text-classification"), print) as job:
        assert not job.began
        await job.run(client, 4, ensemble=ensemble)
    return job, [orjson.loads(line) for line in output.read_bytes().splitlines()]


async def test_answers_have_the_ids_of_their_rows_and_the_ensemble_is_of_rows_that_name_none(
    tmp_path: Path,
) -> None:
    rows = b'{"id": 7, "text": "a"}\n{"text": "b", "ensemble": "own"}\nno row\n{"text": "large"}\n'

    job, answers = await answered(tmp_path, rows, Echo(), "tone")

    assert [answer["id"] for answer in answers] == [7, "2", "3", "4"]
    assert [answer["status"] for answer in answers] == ["ok", "ok", "error", "error"]
    asked = [answer.get("asked") for answer in answers]
    assert asked[0] == {"id": "7", "text": "a", "ensemble": "tone"}
    assert asked[1] == {"text": "b", "ensemble": "own"}
    assert "line 3 is not JSON" in str(answers[2]["error"])
    assert answers[3]["error"] == {
        "type": "invalid",
        "title": "request too large",
        "detail": "9 bytes",
    }
    assert (job.counts.answered, job.counts.errors.total()) == (4, 2)
    assert job.progress().total == 4


async def test_a_row_that_is_nested_too_deeply_and_has_no_id_is_an_error_like_others(
    tmp_path: Path,
) -> None:
    rows = b'{"text": "a"}\n{"text": ' + b"[" * 70 + b"]" * 70 + b"}\n"

    _, answers = await answered(
        tmp_path, rows, LocalClient(build_pipeline(MemoryBroker()), SystemClock())
    )

    assert [(answer["id"], answer["status"]) for answer in answers] == [("1", "ok"), ("2", "error")]
    assert "nested too deeply" in str(answers[1]["error"])


@pytest.mark.skipif(sys.platform == "darwin", reason="names of files are UTF-8 there")
async def test_a_file_that_cannot_be_read_and_whose_name_is_not_utf8_is_an_error_like_others(
    tmp_path: Path,
) -> None:
    folder, output = tmp_path / "in", tmp_path / "answers.jsonl"
    folder.mkdir()
    (folder / os.fsdecode(b"caf\xe9.csv")).write_bytes(b"review\nfine\n")
    (folder / os.fsdecode(b"caf\xe9.jsonl.gz")).write_bytes(b"no gzip")
    (folder / "z.jsonl").write_bytes(b'{"text": "a"}\n')

    with open_bulk_job([folder], output, task_named("text-classification"), print) as job:
        await job.run(Echo(), 4)

    answers = [orjson.loads(line) for line in output.read_bytes().splitlines()]
    assert [(answer["id"], answer["status"]) for answer in answers] == [
        (r"caf\xe9.csv", "error"),
        (r"caf\xe9.jsonl.gz", "error"),
        ("z.jsonl#1", "ok"),
    ]
    assert rf"{folder}/caf\xe9.csv needs a column" in answers[0]["error"]["detail"]
    assert rf"{folder}/caf\xe9.jsonl.gz is not gzip" in answers[1]["error"]["detail"]
