"""`streamproc profiles`: what asking fewer members of an ensemble costs, and what it gains."""

from __future__ import annotations

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

# A literal, as --help must not import numpy; a test holds it against `profiles.COST`.
COST = 0.005


@with_settings(LOCAL_MODELS)
def profiles(
    settings: Settings,
    ensemble: EnsembleName,
    data: Annotated[
        list[str] | None,
        typer.Argument(
            help="labelled validation data, [NAME=]FILE: .jsonl, .json, .csv or .tsv, also .gz; "
            "none: what was measured before is shown"
        ),
    ] = None,
    label: LabelNames = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="use this many records, spread evenly over the data")
    ] = None,
    cost: Annotated[
        float,
        typer.Option(min=0, max=1, help="how much of the metric, 0 to 1, a profile may cost"),
    ] = COST,
    rounds: Annotated[
        int, typer.Option(min=1, help="times that each profile is timed; the fastest counts")
    ] = 3,
    write: Annotated[
        bool, typer.Option("--write", help="write what was chosen and measured to the manifest")
    ] = False,
    text_field: TextField = "text",
    label_field: LabelField = "label",
    outstanding: Outstanding = 1024,
) -> None:
    """Show what each profile costs in accuracy and gains in speed.

    With DATA, how few members will do is chosen on them, and measured. Do not use test data for it.
    """
    from streamproc.cli.profile_runner import measure_profiles, show_profiles
    from streamproc.cli.terminal import stdout_console
    from streamproc.errors import SettingsError
    from streamproc.logs import configure_logging
    from streamproc.offline.corpus.records import Columns
    from streamproc.offline.corpus.rows import source_from
    from streamproc.offline.evaluation.eval_tasks import Data
    from streamproc.repository.repository import Repository

    configure_logging(settings)
    stored = Repository(settings.models_dir).open(ensemble)
    if not data:
        if write:
            raise SettingsError("--write needs DATA to measure profiles on.")
        show_profiles(stored, stdout_console())
        return
    labelled = Data(
        [source_from(one) for one in data], label or (), Columns(text_field, label_field)
    )
    measured = measure_profiles(
        settings, stored, labelled, limit=limit, cost=cost, rounds=rounds, outstanding=outstanding
    )
    show_profiles(measured.stored, stdout_console())
    if write:
        measured.write()
        stdout_console().print(f"written: {measured.path}")
