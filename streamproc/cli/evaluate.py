"""`streamproc evaluate`: an ensemble beside its members and other ways, on labelled data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from streamproc import __version__
from streamproc.cli.given import given_command
from streamproc.cli.options import LOCAL_MODELS, with_settings
from streamproc.errors import SettingsError
from streamproc.settings import Settings

# A literal, as who asks for help has no need of numpy; a test holds it against the bootstrap's own.
DRAWS = 1000


@with_settings(LOCAL_MODELS)
def evaluate(
    context: typer.Context,
    settings: Settings,
    ensemble: Annotated[str, typer.Argument(help="the ensemble, in the models folder")],
    data: Annotated[
        list[str],
        typer.Argument(help="labelled data, [NAME=]FILE: .jsonl, .json, .csv, .tsv, or .gz of it"),
    ],
    label: Annotated[
        list[str] | None,
        typer.Option(help="SPELLING=NAME, e.g. 0=negative; entities: person=PER, misc=O"),
    ] = None,
    against: Annotated[
        list[str] | None, typer.Option(help="another ensemble that answers the same; may repeat")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(help="a field of the records, e.g. domain; corpus: the data's NAME or folder"),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="so many records, spread over the data")
    ] = None,
    params: Annotated[
        str | None, typer.Option(help='of every request, JSON, e.g. {"aggregation": "first"}')
    ] = None,
    text_field: Annotated[str, typer.Option(help="field that holds the text")] = "text",
    label_field: Annotated[str, typer.Option(help="field that holds the label")] = "label",
    draws: Annotated[int, typer.Option(min=20, help="of the bootstrap")] = DRAWS,
    seed: Annotated[int, typer.Option(min=0, help="of the bootstrap")] = 0,
    json: Annotated[Path | None, typer.Option(help="write every figure there")] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="write the tables there, for an ensemble's report")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="write one page there, plots and all")] = None,
    plots: Annotated[
        Path | None, typer.Option(help="write plots into that folder; --markdown links to them")
    ] = None,
    outstanding: Annotated[int, typer.Option(min=1, help="requests in the works")] = 1024,
) -> None:
    """Measure an ensemble as it is served, beside its members and other ways to combine them."""
    import numpy as np

    from streamproc.cli.eval_output import Files, show_findings
    from streamproc.cli.eval_runner import answered, foreseen
    from streamproc.cli.terminal import stdout_console
    from streamproc.clock import SystemClock
    from streamproc.logs import configure_logging
    from streamproc.offline.corpus.passages import read_passages
    from streamproc.offline.corpus.records import Columns
    from streamproc.offline.corpus.rows import described, source_from
    from streamproc.offline.evaluation.candidates import contenders
    from streamproc.offline.evaluation.comparison import compare
    from streamproc.offline.evaluation.eval_task import subsample_evenly
    from streamproc.offline.evaluation.eval_tasks import Data, exam_of, require_labels
    from streamproc.offline.evaluation.groups import grouped
    from streamproc.offline.evaluation.next_token import JUDGED, MEASURES, blocks
    from streamproc.offline.evaluation.provenance import Provenance
    from streamproc.repository.digests import sha256
    from streamproc.repository.repository import Repository
    from streamproc.serving.inference.providers import choose_provider
    from streamproc.serving.tasks.catalogue import task_named

    configure_logging(settings)
    files = Files(json, markdown, html, plots)
    files.require_drawing()
    repository = Repository(settings.models_dir)
    stored = repository.open(ensemble)
    others = [repository.open(name) for name in against or ()]
    competing = contenders(stored, task_named(stored.manifest.task), others)
    sources = [source_from(written) for written in data]
    asked = _params(params)
    if stored.manifest.task == "text-generation":
        if asked:
            raise SettingsError("--params is for requests; text-generation is measured without any")
        every = blocks([p for one in sources for p in read_passages(one, text_field)], stored)
        there, measures, judged = len(every.ids), MEASURES, JUDGED
        unit = timed = f"blocks of {every.ids.shape[1]} tokens"
        chosen = subsample_evenly(range(there), limit)
        grouping = grouped([every.fields[number] for number in chosen], by) if by else None
        marks = foreseen(settings, competing, every.ids[np.array(chosen)])
    else:
        read = Data(sources, label or (), Columns(text_field, label_field))
        exam, there = exam_of(stored.manifest, read, limit)
        require_labels(exam, competing)
        unit, timed, measures, judged = "records", "requests", exam.measures, exam.judged
        grouping = grouped(exam.fields, by) if by else None
        marks = answered(settings, competing, exam, asked, outstanding)
    findings = compare(measures, marks, grouping, draws=draws, seed=seed)
    made = Provenance(
        data=tuple(described([source]) for source in sources),
        digests=tuple(sha256(one.path) for one in sources),
        of=there,
        unit=unit,
        timed=timed,
        judged=judged,
        device=choose_provider(settings.device).device,
        draws=draws,
        seed=seed,
        version=__version__,
        command=given_command(context),
    )
    show_findings(findings, made, stdout_console())
    files.write(findings, made, SystemClock())


def _params(written: str | None) -> dict[str, Any]:
    try:
        params = orjson.loads(written or "{}")
    except orjson.JSONDecodeError as error:
        raise SettingsError(f"--params {written!r} is not JSON: {error}") from None
    if not isinstance(params, dict):
        raise SettingsError(f"--params {written!r} is not a JSON object")
    return params
