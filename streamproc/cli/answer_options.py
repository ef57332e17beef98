"""The options that `run` and `submit` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamproc.offline.documents.formats import Format

File = Annotated[
    Path,
    typer.Argument(
        help="JSON Lines, a JSON array, CSV, TSV or a text a line, plain or .gz; - for stdin",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", help="default: stdout. It is replaced once every row is answered"
    ),
]
Form = Annotated[
    Format | None, typer.Option("--format", help="default: by the file's name, or how it begins")
]
Encoding = Annotated[
    str | None, typer.Option(help="of the file's text, e.g. latin-1; default: UTF-8")
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="ask again what an interrupted run has answered already")
]
