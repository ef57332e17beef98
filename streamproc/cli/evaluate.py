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
    typer.Argument(help="labelled data, [NAME=]FILE: .jsonl, .json, .csv or .tsv, also .gz"),
]
_Against = Annotated[
    list[str] | None, typer.Option(help="another ensemble for the same task; may be repeated")
]
_By = Annotated[
    str | None,
    typer.Option(
        help="report per value of a field, e.g. domain; corpus: per NAME or folder of data"
    ),
]
_Limit = Annotated[
    int | None, typer.Option(min=1, help="use this many records, spread evenly over the data")
]
_Params = Annotated[
    str | None, typer.Option(help='params of every request, as JSON, e.g. {"aggregation": "first"}')
]
_Markdown = Annotated[Path | None, typer.Option(help="file to write the tables to, for a report")]
_Plots = Annotated[
    Path | None, typer.Option(help="folder to write plots to; --markdown links to them")
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
    draws: Annotated[int, typer.Option(min=20, help="samples of the bootstrap")] = DRAWS,
    seed: Annotated[int, typer.Option(min=0, help="seed of the bootstrap")] = 0,
    json: Annotated[Path | None, typer.Option(help="file to write all figures to")] = None,
    markdown: _Markdown = None,
    html: Annotated[Path | None, typer.Option(help="file to write one page with plots to")] = None,
    plots: _Plots = None,
    outstanding: Outstanding = 1024,
) -> None:
    """Evaluate an ensemble on labelled data, beside its members and other ways to combine."""
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
    files.require_places()
    labelled = Data([source_from(w) for w in data], label or (), Columns(text_field, label_field))
    options = EvalOptions(against or (), by, limit, params, draws, seed, outstanding)
    command = given_command(context)
    results, provenance = run_evaluation(settings, ensemble, labelled, options, command)
    show_results(results, provenance, stdout_console())
    files.write(results, provenance, SystemClock())
