"""Arguments and options that commands on labelled data share."""

from __future__ import annotations

from typing import Annotated

import typer

EnsembleName = Annotated[str, typer.Argument(help="name of an ensemble in the models folder")]
LabelNames = Annotated[
    list[str] | None,
    typer.Option(help="SPELLING=NAME, e.g. 0=negative; entities: person=PER, misc=O"),
]
TextField = Annotated[str, typer.Option(help="field that holds the text")]
LabelField = Annotated[str, typer.Option(help="field that holds the label")]
Outstanding = Annotated[int, typer.Option(min=1, help="requests in flight at a time")]
