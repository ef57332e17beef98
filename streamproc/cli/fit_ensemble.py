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
        typer.Option(help="labelled validation data, [NAME=]FILE; may be repeated"),
    ] = None,
    partitions: Annotated[
        Path | None,
        typer.Option(
            help="folder of `corpus partition` with parts named like the members, for a new gate; "
            "without --valid also for validation data"
        ),
    ] = None,
    part: Annotated[
        list[str] | None,
        typer.Option(
            help="MEMBER=FILE: training data of a member, instead of --partitions; may be repeated"
        ),
    ] = None,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep-combination", help="combine members as before, and only calibrate anew"
        ),
    ] = False,
    label: LabelNames = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="use this many validation records, spread evenly over the data"),
    ] = None,
    text_field: TextField = "text",
    label_field: LabelField = "label",
    outstanding: Outstanding = 1024,
) -> None:
    """Choose on validation data how members are combined, and write it to the manifest.

    Compared are mean, mean of logits, vote, weights, and a gate that weights members per chunk.
    Of entities, the default aggregation is chosen too. Then a temperature calibrates the
    probabilities, and a confidence the scores of entities and answers.
    Do not use test data for it.
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
    choose_combination(settings, stored, validation, by_member, limit, outstanding, keep=keep)
