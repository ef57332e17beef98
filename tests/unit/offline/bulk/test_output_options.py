"""Where answers go, by the name that was given."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import orjson
import pytest

from streamproc.errors import SettingsError
from streamproc.messages.client import ResponseBody
from streamproc.offline.bulk.answer_counts import AnswerCounts
from streamproc.offline.bulk.job import open_bulk_job
from streamproc.offline.bulk.output import AnswerOutput
from streamproc.offline.bulk.output_options import OutputOptions, answer_output
from streamproc.serving.tasks.catalogue import task_named


def output(path: Path) -> AnswerOutput:
    return answer_output(path, "translation", OutputOptions(), AnswerCounts(), None)


def test_parquet_without_its_extra_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "streamproc.offline.bulk.parquet_format", raising=False)
    monkeypatch.delitem(sys.modules, "streamproc.local.arrow_types", raising=False)

    with pytest.raises(SettingsError, match=r'pip install "streamproc\[documents\]"'):
        output(tmp_path / "a.PARQUET")
    output(tmp_path / "a.jsonl")


def test_parquet_into_a_pipe_is_refused_in_a_sentence(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.parquet"
    os.mkfifo(pipe)

    with pytest.raises(SettingsError, match="Parquet needs a file to be written to"):
        output(pipe)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl.gz", "a.parquet.zst", "a.XLSX"])
def test_a_name_of_a_format_that_is_not_written_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=r"JSON Lines or Parquet: name it answers\.jsonl or"):
        output(tmp_path / name)


class Echo:
    async def ask_json(self, body: bytes) -> tuple[ResponseBody, bytes]:
        response: ResponseBody = {"id": "its own", "task": "t", "status": "ok"}
        return response, orjson.dumps(response)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("keep", [False, True])
async def test_answers_name_their_file_where_there_are_several_and_have_columns_on_demand(
    tmp_path: Path, several: bool, keep: bool
) -> None:
    (tmp_path / "in").mkdir()
    file, output = tmp_path / "in" / "a.csv", tmp_path / "answers.jsonl"
    file.write_text("id,text,stars\nx,fine,3\ny,bad\n", "utf-8")
    options = OutputOptions(keep_columns=keep)
    given = [tmp_path / "in"] if several else [file]

    told: list[str] = []
    with open_bulk_job(
        given, output, task_named("text-classification"), told.append, writing=options
    ) as job:
        await job.run(Echo(), 4)

    x, y = map(orjson.loads, output.read_bytes().splitlines())
    sources = [x.get("source"), y.get("source")]
    assert sources == ([{"file": "a.csv", "row": row} for row in (1, 2)] if several else [None] * 2)
    columns = [x.get("columns"), y.get("columns")]
    assert columns[0] == ({"id": "x", "text": "fine", "stars": "3"} if keep else None)
    assert (columns[1] is not None) == keep
    # What is kept is used.
    assert [line.partition(" (")[0] for line in told] == (
        [] if keep else ["columns that are not used: stars"]
    )
    assert y["error"]["detail"].endswith("3 columns expected, found 2")
