"""`streamproc evaluate`: an ensemble beside its members and other ways, on labelled data."""

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
from streamproc.cli.given import given_command
from streamproc.cli.options import LOCAL_MODELS, with_settings
from streamproc.settings import Settings

# A literal, as --help must not import numpy; a test holds it against `intervals.DRAWS`.
DRAWS = 1000

_Data = Annotated[
    list[str],
    typer.Argument(help="labelled data, [NAME=]FILE: .jsonl, .json, .csv, .tsv, or .gz of it"),
]
_Against = Annotated[
    list[str] | None, typer.Option(help="another ensemble that answers the same; may repeat")
]
_By = Annotated[
    str | None,
    typer.Option(help="a field of the records, e.g. domain; corpus: the data's NAME or folder"),
]
_Limit = Annotated[int | None, typer.Option(min=1, help="so many records, spread over the data")]
_Params = Annotated[
    str | None, typer.Option(help='of every request, JSON, e.g. {"aggregation": "first"}')
]
_Markdown = Annotated[
    Path | None, typer.Option(help="write the tables there, for an ensemble's report")
]
_Plots = Annotated[
    Path | None, typer.Option(help="write plots into that folder; --markdown links to them")
]


@with_settings(LOCAL_MODELS)
def evaluate(
    context: typer.Context,
    settings: Settings,
    ensemble: EnsembleName,
    data: _Data,
    label: LabelNames = None,
    against: _Against = None,
    by: _By = None,
    limit: _Limit = None,
    params: _Params = None,
    text_field: TextField = "text",
    label_field: LabelField = "label",
    draws: Annotated[int, typer.Option(min=20, help="of the bootstrap")] = DRAWS,
    seed: Annotated[int, typer.Option(min=0, help="of the bootstrap")] = 0,
    json: Annotated[Path | None, typer.Option(help="write every figure there")] = None,
    markdown: _Markdown = None,
    html: Annotated[Path | None, typer.Option(help="write one page there, plots and all")] = None,
    plots: _Plots = None,
    outstanding: Outstanding = 1024,
) -> None:
    """Measure an ensemble as it is served, beside its members and other ways to combine them."""
    from streamproc.cli.eval_output import OutputFiles, show_results
    from streamproc.cli.eval_runner import EvalOptions, run_evaluation
    from streamproc.cli.terminal import stdout_console
    from streamproc.clock import SystemClock
    from streamproc.logs import configure_logging
    from streamproc.offline.corpus.records import Columns
    from streamproc.offline.corpus.rows import source_from
    from streamproc.offline.evaluation.eval_tasks import Data

    configure_logging(settings)
    files = OutputFiles(json, markdown, html, plots)
    files.require_libraries()
    labelled = Data([source_from(w) for w in data], label or (), Columns(text_field, label_field))
    options = EvalOptions(against or (), by, limit, params, draws, seed, outstanding)
    command = given_command(context)
    results, provenance = run_evaluation(settings, ensemble, labelled, options, command)
    show_results(results, provenance, stdout_console())
    files.write(results, provenance, SystemClock())
