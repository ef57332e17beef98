"""`streamproc evaluate`: an ensemble beside its members and other ways, on labelled data."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import orjson
import typer
from rich.console import Console

from streamproc import __version__
from streamproc.cli.evaluated import show_findings
from streamproc.cli.options import with_settings
from streamproc.cli.run import FLAGS
from streamproc.cli.sitting import answered, foreseen
from streamproc.corpus.passages import read_passages
from streamproc.corpus.records import Columns
from streamproc.corpus.rows import Source, described, source_from
from streamproc.errors import SettingsError
from streamproc.evaluation.contenders import contenders
from streamproc.evaluation.exam import spread
from streamproc.evaluation.exams import Data, exam_of
from streamproc.evaluation.findings import compare
from streamproc.evaluation.intervals import DRAWS
from streamproc.evaluation.next_token import MEASURES, blocks
from streamproc.evaluation.report import Made, as_json, as_markdown
from streamproc.inference.providers import choose_provider
from streamproc.logs import configure_logging
from streamproc.repository.repository import Repository
from streamproc.settings import Settings
from streamproc.tasks.catalogue import task_named


@with_settings(FLAGS)
def evaluate(
    settings: Settings,
    ensemble: Annotated[str, typer.Argument(help="the ensemble, in the models folder")],
    data: Annotated[
        list[str], typer.Argument(help="labelled data, [NAME=]FILE: .jsonl, .csv, or .gz of it")
    ],
    label: Annotated[
        list[str] | None,
        typer.Option(help="SPELLING=NAME, e.g. 0=negative; entities: person=PER, misc=O"),
    ] = None,
    against: Annotated[
        list[str] | None, typer.Option(help="another ensemble that answers the same; may repeat")
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
    outstanding: Annotated[int, typer.Option(min=1, help="requests in the works")] = 1024,
) -> None:
    """Measure an ensemble as it is served, beside its members and other ways to combine them."""
    configure_logging(settings)
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
        there, measures = len(every), MEASURES
        unit = timed = f"blocks of {every.shape[1]} tokens"
        chosen = np.array(spread(range(there), limit))
        marks = foreseen(settings, competing, every[chosen])
    else:
        read = Data(sources, label or (), Columns(text_field, label_field))
        exam, there = exam_of(stored.manifest, read, limit)
        unit, timed, measures = "records", "requests", exam.measures
        marks = answered(settings, competing, exam, asked, outstanding)
    findings = compare(measures, marks, draws=draws, seed=seed)
    options = {"label": label, "against": against, "limit": limit, "params": params}
    made = Made(
        data=described(sources),
        digests=tuple(hashlib.sha256(one.path.read_bytes()).hexdigest() for one in sources),
        of=there,
        unit=unit,
        timed=timed,
        device=choose_provider(settings.device).device,
        draws=draws,
        seed=seed,
        version=__version__,
        command=_command(ensemble, sources, options),
    )
    show_findings(findings, made, Console())
    _write(json, orjson.dumps(as_json(findings, made), option=orjson.OPT_INDENT_2) + b"\n")
    _write(markdown, as_markdown(findings, made).encode())


def _params(written: str | None) -> dict[str, Any]:
    try:
        params = orjson.loads(written or "{}")
    except orjson.JSONDecodeError as error:
        raise SettingsError(f"--params {written!r} is not JSON: {error}") from None
    if not isinstance(params, dict):
        raise SettingsError(f"--params {written!r} is not a JSON object")
    return params


def _command(ensemble: str, sources: Sequence[Source], options: Mapping[str, object]) -> str:
    """What to type to measure the same again; files by folder and name, not where they lay."""
    words = ["streamproc", "evaluate", ensemble]
    words += [f"{source.path.parent.name}/{source.path.name}" for source in sources]
    for name, value in options.items():
        for one in value if isinstance(value, list) else [value]:
            words += [f"--{name}", str(one)] if one is not None else []
    return shlex.join(words)


def _write(path: Path | None, content: bytes) -> None:
    try:
        if path is not None:
            path.write_bytes(content)
    except OSError as error:
        raise SettingsError(f"can't write {path}: {error.strerror}") from None
