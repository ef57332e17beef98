"""Where answers go and in which format, by the output's name and what was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson

from streamproc.errors import SettingsError
from streamproc.offline.bulk.answer_counts import AnswerCounts
from streamproc.offline.bulk.answer_format import AnswerFormat, JsonLines
from streamproc.offline.bulk.output import AnswerOutput, AnswerStream, is_file
from streamproc.offline.bulk.resumable_file import ResumableFile, ledger_of

_PARQUET = (".parquet", ".pq")
# JSON Lines under such a name is misread by whoever opens it next, `run` itself among them.
_NOT_WRITTEN = (".csv", ".tsv", ".tab", ".xlsx", ".gz", ".zst", ".zip", ".bz2", ".xz")


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """What is asked for beside the output's name.

    fresh:        answers of an interrupted run are not taken up
    retry_errors: of those, errors are asked again
    keep_columns: each answer has the columns of its row
    source:       each answer says which file and row it is to, in JSON Lines too
    """

    fresh: bool = False
    retry_errors: bool = False
    keep_columns: bool = False
    source: bool = False


def answer_output(
    path: Path | None, task: str, options: OutputOptions, counts: AnswerCounts, asked: object
) -> AnswerOutput:
    """An output, of which nothing is touched yet.

    path:  None is standard output
    asked: what beside a row decides its answer, for JSON; kept answers are taken up where it is
           the same
    Raises SettingsError where it can't be written.
    """
    lines = JsonLines(source=options.source, columns=options.keep_columns)
    parquet = path is not None and path.suffix.lower() in _PARQUET
    if path is None or not is_file(path):
        if parquet:
            raise SettingsError(f"Parquet needs a file to be written to, and {path} is none")
        return AnswerStream(path, lines)
    if path.suffix.lower() in _NOT_WRITTEN:
        raise SettingsError(
            f"{path}: answers are written as JSON Lines or Parquet: name it answers.jsonl or "
            "answers.parquet"
        )
    form = _parquet(path, task, columns=options.keep_columns) if parquet else lines
    return ResumableFile(
        path,
        orjson.dumps(asked),
        counts,
        form,
        fresh=options.fresh,
        retry_errors=options.retry_errors,
    )


def written_files(path: Path | None) -> list[Path]:
    """The files that answers are written to, so that none of them is read.

    Raises SettingsError where there can't be such a file.
    """
    return [] if path is None or not is_file(path) else [path, ledger_of(path)]


def _parquet(path: Path, task: str, *, columns: bool) -> AnswerFormat:
    try:
        from streamproc.offline.bulk.parquet_format import Parquet  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        raise SettingsError(
            f"{path}: Parquet needs pyarrow, which is not installed: "
            'pip install "streamproc[documents]"'
        ) from None
    return Parquet(task, columns=columns)
