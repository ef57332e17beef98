"""The options that `run` and `submit` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamproc.offline.documents.formats import Format

File = Annotated[
    Path,
    typer.Argument(
        help="JSON Lines, JSON, CSV, TSV, or one text per line; also .gz; - for stdin",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", help="file to write once every row is answered; default: stdout"
    ),
]
Form = Annotated[
    Format | None,
    typer.Option("--format", help="format of the file; default: by its name, or how it begins"),
]
Encoding = Annotated[
    str | None, typer.Option(help="encoding of the file, e.g. latin-1; default: UTF-8")
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="discard the answers of an interrupted run and start over")
]
