"""The options that `run` and `submit` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer

from streamproc.offline.documents.formats import Format

Files = Annotated[
    list[Path],
    typer.Argument(
        help="files, folders, patterns: JSON Lines, JSON, CSV, TSV, Parquet, texts, PDF, DOCX, "
        "PPTX, HTML, Markdown, e-mail; also .gz, .zst; - for stdin",
    ),
]
TaskName = Annotated[
    str,
    typer.Option(
        "--task",
        metavar="TASK",
        help="text-classification, token-classification (named entities), question-answering, "
        "translation, summarization or text-generation",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="file to write once every row is answered: JSON Lines, or Parquet where its name "
        "ends in .parquet; default: JSON Lines on stdout",
    ),
]
Form = Annotated[
    Format | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help=f"{', '.join(get_args(Format))}; default: by the file's name, or how it begins",
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        help="encoding of text, e.g. latin-1, or detect; default: UTF-8, else that of a document "
        "is detected"
    ),
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="discard the answers of an interrupted run and start over")
]
RetryErrors = Annotated[
    bool,
    typer.Option(
        "--retry-errors", help="ask again what has errors among the answers of a run before"
    ),
]
KeepColumns = Annotated[
    bool,
    typer.Option("--keep-columns", help="keep the columns of the input beside each answer"),
]
TextColumn = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="column of the text; default: text")
]
IdColumn = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="column of the id; default: id")
]
Mapped = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="FIELD=COLUMN", help="column of any other request field"),
]
