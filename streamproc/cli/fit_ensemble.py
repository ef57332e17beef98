"""`streamproc fit-ensemble`: how an ensemble's members are combined, chosen on validation data."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from streamproc.cli.judging import answering_judge, foreseeing_judge
from streamproc.cli.options import with_settings
from streamproc.cli.run import FLAGS
from streamproc.corpus.description import read_partitions
from streamproc.corpus.passages import read_passages
from streamproc.corpus.records import Columns
from streamproc.corpus.rows import Source, source_from
from streamproc.digests import sha256
from streamproc.ensembling.combine import Strategy
from streamproc.ensembling.gate import evidence
from streamproc.ensembling.steps import STEP_STRATEGIES
from streamproc.errors import SettingsError
from streamproc.evaluation.exam import spread
from streamproc.evaluation.exams import Data, exam_of
from streamproc.evaluation.measures import FloatArray
from streamproc.evaluation.next_token import blocks
from streamproc.evaluation.token_counts import token_counts
from streamproc.evaluation.tuning import Candidate, Judge, tune
from streamproc.loading import load_profile
from streamproc.logs import configure_logging
from streamproc.repository.manifest import GateSection
from streamproc.repository.repository import MANIFEST, Repository, StoredEnsemble
from streamproc.repository.writing import manifest_toml
from streamproc.settings import Settings
from streamproc.tasks.catalogue import task_named
from streamproc.tasks.decoding_task import DecodingTask

_GATE = "gate.npy"


@with_settings(FLAGS)
def fit_ensemble(
    settings: Settings,
    ensemble: Annotated[str, typer.Argument(help="the ensemble, in the models folder")],
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
    label: Annotated[
        list[str] | None,
        typer.Option(help="SPELLING=NAME, e.g. 0=negative; entities: person=PER, misc=O"),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="so many validation records, spread over the data")
    ] = None,
    text_field: Annotated[str, typer.Option(help="field that holds the text")] = "text",
    label_field: Annotated[str, typer.Option(help="field that holds the label")] = "label",
    outstanding: Annotated[int, typer.Option(min=1, help="requests in the works")] = 1024,
) -> None:
    """Choose by validation data how members are combined, and write that into the manifest.

    Mean, mean of logits, vote, weights, a gate that tells for each chunk which members to trust
    most, and a temperature for what they say together. Never show it test data.
    """
    configure_logging(settings)
    stored = Repository(settings.models_dir).open(ensemble)
    parts, held_out = _material(partitions, part or [], valid or [])
    columns = Columns(text_field, label_field)
    console = Console()
    gate = None
    if parts:
        with console.status("counting the tokens of what members were trained on"):
            gate = _write_gate(stored, parts, label or (), columns)
    task = task_named(stored.manifest.task)
    strategies: Sequence[Strategy] = (
        STEP_STRATEGIES if isinstance(task, DecodingTask) else task.strategies
    )
    data = Data(held_out, label or (), columns)
    with _judge(settings, stored, data, limit, outstanding) as (judge, measure):
        *ways, chosen = _told(console, tune(stored, judge, strategies, gate))
    _show(console, measure, ways, chosen)
    path = stored.folder / MANIFEST
    path.write_text(manifest_toml(chosen.stored.manifest), encoding="utf-8")
    if chosen.stored.manifest.gate is None:
        (stored.folder / _GATE).unlink(missing_ok=True)
    console.print(f"written: {path}, combined by {chosen.way}")


def _material(
    partitions: Path | None, parts: Sequence[str], valid: Sequence[str]
) -> tuple[Mapping[str, Sequence[Source]], Sequence[Source]]:
    """What each member was trained on, and validation data; raises SettingsError."""
    held_out = [source_from(written) for written in valid]
    own: dict[str, list[Source]] = {}
    if partitions:
        cut = read_partitions(partitions)
        held_out = held_out or list(cut.sources("valid"))
        for source in cut.sources("train"):
            own.setdefault(source.name, []).append(source)
    for written in parts:
        member, named, _ = written.partition("=")
        if not named:
            raise SettingsError(f"--part {written!r}: expected MEMBER=FILE.")
        own.setdefault(member, []).append(source_from(written))
    if not held_out:
        raise SettingsError("Name --valid FILE, or --partitions FOLDER of a corpus with --valid.")
    return own, held_out


def _write_gate(
    stored: StoredEnsemble,
    parts: Mapping[str, Sequence[Source]],
    names: Sequence[str],
    columns: Columns,
) -> GateSection:
    """The gate's table, in the ensemble's folder; of no effect until the manifest names it."""
    members = [member.name for member in stored.manifest.members]
    if set(members) != set(parts):
        raise SettingsError(
            f"a gate needs what each member was trained on: members are {', '.join(members)}; "
            f"--partitions or --part name {', '.join(parts)}"
        )
    counts = [_counts(stored, Data(parts[member], names, columns)) for member in members]
    path = stored.folder / _GATE
    written = io.BytesIO()
    np.save(written, evidence(np.stack(counts, axis=1)).astype(np.float16), allow_pickle=False)
    path.write_bytes(written.getvalue())
    return GateSection(file=_GATE, sha256=sha256(path), members=tuple(members), sharpness=1.0)


def _counts(stored: StoredEnsemble, data: Data) -> FloatArray:
    """(vocabulary,) of the tokens that members see of this data."""
    task = task_named(stored.manifest.task)
    profile = load_profile(stored, task)
    if stored.manifest.task == "text-generation":
        ids = _blocks(stored, data)
        return np.bincount(ids.ravel(), minlength=profile.tokenizer.vocabulary_size).astype(float)
    exam, records = exam_of(stored.manifest, data)
    return token_counts(exam.requests[:records], task, profile)


def _blocks(stored: StoredEnsemble, data: Data) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    passages = [p for source in data.sources for p in read_passages(source, data.columns.text)]
    return blocks(passages, stored).ids


@contextmanager
def _judge(
    settings: Settings, stored: StoredEnsemble, data: Data, limit: int | None, outstanding: int
) -> Iterator[tuple[Judge, str]]:
    """Who judges, and the name of what it judges by."""
    if stored.manifest.task == "text-generation":
        ids = _blocks(stored, data)
        chosen = ids[np.array(spread(range(len(ids)), limit))]
        with foreseeing_judge(settings, chosen) as judge:
            yield judge, "perplexity"
        return
    exam, _ = exam_of(stored.manifest, data, limit)
    with answering_judge(settings, stored, exam, outstanding) as judge:
        yield judge, exam.measures[0].name


def _told(console: Console, candidates: Iterator[Candidate]) -> list[Candidate]:
    """All of them, while it is told which is the last that was found."""
    found: list[Candidate] = []
    with console.status("asking the members") as status:
        for candidate in candidates:
            found.append(candidate)
            status.update(f"found: {candidate.way}")
    return found


def _show(console: Console, measure: str, ways: Sequence[Candidate], chosen: Candidate) -> None:
    table = Table(title="on validation data")
    table.add_column("combined by")
    for heading in (measure, "log-likelihood", "calibration error"):
        table.add_column(heading, justify="right")
    for candidate in (*ways, chosen):
        score = candidate.score
        table.add_row(
            candidate.way,
            f"{abs(score.value):.4f}",
            "–" if score.likelihood is None else f"{score.likelihood:.4f}",
            "–" if score.calibrated is None else f"{-score.calibrated:.4f}",
            style="bold" if candidate is chosen else "",
        )
    console.print(table)
