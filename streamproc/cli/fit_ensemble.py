"""`streamproc fit-ensemble`: how an ensemble's members are combined, chosen on validation data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamproc.cli.data_options import (
    EnsembleName,
    LabelField,
    LabelNames,
    Outstanding,
    TextField,
)
from streamproc.cli.options import LOCAL_MODELS, with_settings
from streamproc.settings import Settings


@with_settings(LOCAL_MODELS)
def fit_ensemble(
    settings: Settings,
    ensemble: EnsembleName,
    valid: Annotated[
        list[str] | None,
        typer.Option(help="labelled validation data, [NAME=]FILE; once per file"),
    ] = None,
    partitions: Annotated[
        Path | None,
        typer.Option(
            help="the folder of `corpus partition` that members were trained on, its parts named "
            "as they are: for a gate, and for validation data where --valid names none"
        ),
    ] = None,
    part: Annotated[
        list[str] | None,
        typer.Option(help="or MEMBER=FILE, what a member was trained on; once per file"),
    ] = None,
    label: LabelNames = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="so many validation records, spread over the data")
    ] = None,
    text_field: TextField = "text",
    label_field: LabelField = "label",
    outstanding: Outstanding = 1024,
) -> None:
    """Choose by validation data how members are combined, and write that into the manifest.

    Mean, mean of logits, vote, weights, a gate that tells for each chunk which members to trust
    most, and a temperature for what they say together. Never show it test data.
    """
    from streamproc.cli.combination import choose_combination, corpus_files
    from streamproc.logs import configure_logging
    from streamproc.offline.corpus.records import Columns
    from streamproc.offline.evaluation.eval_tasks import Data
    from streamproc.repository.repository import Repository

    configure_logging(settings)
    stored = Repository(settings.models_dir).open(ensemble)
    by_member, files = corpus_files(partitions, part or [], valid or [])
    validation = Data(files, label or (), Columns(text_field, label_field))
    choose_combination(settings, stored, validation, by_member, limit, outstanding)
