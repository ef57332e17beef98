"""Choosing how an ensemble's members are combined, and writing it into the manifest."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from streamproc.cli.progress import activity
from streamproc.cli.tables import print_table
from streamproc.cli.terminal import TerminalConsole, stdout_console
from streamproc.cli.tuning_runner import answer_scorer, perplexity_scorer
from streamproc.errors import SettingsError
from streamproc.offline.corpus.description import read_partitions
from streamproc.offline.corpus.rows import Source, source_from
from streamproc.offline.evaluation.eval_tasks import Data, eval_task_for
from streamproc.offline.evaluation.perplexity import METRICS, read_blocks
from streamproc.offline.evaluation.systems import strategies_of
from streamproc.offline.evaluation.token_counts import token_counts
from streamproc.offline.evaluation.tuning import Candidate, Scorer, recalibrate, tune
from streamproc.repository.files import atomic_write
from streamproc.repository.manifest import GateSection
from streamproc.repository.repository import MANIFEST, StoredEnsemble
from streamproc.repository.writing import manifest_toml
from streamproc.serving.ensembling.gate import evidence
from streamproc.serving.loading import load_spec
from streamproc.serving.tasks.catalogue import task_named
from streamproc.settings import Settings
from streamproc.types import FloatArray


def choose_combination(
    settings: Settings,
    stored: StoredEnsemble,
    validation: Data,
    partitions: Mapping[str, Sequence[Source]],
    limit: int | None,
    outstanding: int,
    *,
    keep: bool = False,
) -> None:
    """Try every strategy on validation data, show how good each is, write the best.

    partitions: what each member was trained on, for a gate; empty: the one that there is, is tried
    keep: members are combined as before, and only calibrated anew
    """
    gate = used = stored.manifest.gate
    if partitions and not keep:
        with activity("counting the tokens of what members were trained on"):
            gate = _write_gate(stored, validation, partitions)
    try:
        task = task_named(stored.manifest.task)
        strategies = strategies_of(stored, task)
        with _scorer(settings, stored, validation, limit, outstanding) as (scorer, metric):
            tried = recalibrate(stored, scorer) if keep else tune(stored, scorer, strategies, gate)
            *others, chosen = _show_progress(tried)
        console = stdout_console()
        _show(console, metric, others, chosen)
        path = stored.folder / MANIFEST
        atomic_write(path, manifest_toml(chosen.stored.manifest))
        used = chosen.stored.manifest.gate
        console.print(f"written: {path}, combined by {chosen.description}")
    finally:
        for table in (stored.manifest.gate, gate):
            if table and (used is None or table.file != used.file):
                (stored.folder / table.file).unlink(missing_ok=True)


def corpus_files(
    partitions: Path | None, part: Sequence[str], valid: Sequence[str]
) -> tuple[Mapping[str, Sequence[Source]], Sequence[Source]]:
    """What each member was trained on, and validation data; raises SettingsError."""
    validation = [source_from(written) for written in valid]
    by_member: dict[str, list[Source]] = {}
    if partitions:
        corpus = read_partitions(partitions)
        validation = validation or list(corpus.sources("valid"))
        for source in corpus.sources("train"):
            by_member.setdefault(source.name, []).append(source)
    for written in part:
        member, named, _ = written.partition("=")
        if not named:
            raise SettingsError(f"--part {written!r}: expected MEMBER=FILE.")
        by_member.setdefault(member, []).append(source_from(written))
    if not validation:
        raise SettingsError("Name --valid FILE, or --partitions FOLDER of a corpus with --valid.")
    return by_member, validation


def _write_gate(
    stored: StoredEnsemble, data: Data, partitions: Mapping[str, Sequence[Source]]
) -> GateSection:
    """The gate's table, in the ensemble's folder; of no effect until the manifest names it.

    It is named by what is in it, so that it never takes the place of one that is in use.
    """
    members = [member.name for member in stored.manifest.members]
    if set(members) != set(partitions):
        raise SettingsError(
            f"a gate needs what each member was trained on: members are {', '.join(members)}; "
            f"--partitions or --part name {', '.join(partitions)}"
        )
    counts = [_token_counts(stored, replace(data, sources=partitions[name])) for name in members]
    written = io.BytesIO()
    np.save(written, evidence(np.stack(counts, axis=1)).astype(np.float16), allow_pickle=False)
    digest = hashlib.sha256(written.getvalue()).hexdigest()
    file = f"gate-{digest[:12]}.npy"
    (stored.folder / file).write_bytes(written.getvalue())
    return GateSection(file=file, sha256=digest, members=tuple(members), sharpness=1.0)


def _token_counts(stored: StoredEnsemble, data: Data) -> FloatArray:
    """(vocabulary,) of the tokens that members see of this data."""
    task = task_named(stored.manifest.task)
    spec = load_spec(stored, task)
    if stored.manifest.task == "text-generation":
        ids = read_blocks(stored, data).ids
        return np.bincount(ids.ravel(), minlength=spec.tokenizer.vocabulary_size).astype(float)
    eval_task, records = eval_task_for(stored.manifest, data)
    return token_counts(eval_task.requests[:records], task, spec)


@contextmanager
def _scorer(
    settings: Settings, stored: StoredEnsemble, data: Data, limit: int | None, outstanding: int
) -> Iterator[tuple[Scorer, str]]:
    """What scores candidates, and the name of the metric that it does so by."""
    if stored.manifest.task == "text-generation":
        blocks = read_blocks(stored, data).subsample(limit)
        yield perplexity_scorer(settings, blocks.ids), METRICS[0].name
        return
    eval_task, _ = eval_task_for(stored.manifest, data, limit)
    with answer_scorer(settings, stored, eval_task, outstanding) as scorer:
        yield scorer, eval_task.metrics[0].name


def _show_progress(candidates: Iterator[Candidate]) -> list[Candidate]:
    """All of them, while it is told which is the last that was found."""
    found: list[Candidate] = []
    with activity("asking the members") as say:
        for candidate in candidates:
            found.append(candidate)
            say(f"found: {candidate.description}")
    return found


def _show(
    console: TerminalConsole, metric: str, others: Sequence[Candidate], chosen: Candidate
) -> None:
    rows = [
        [(text, candidate is chosen) for text in _figures(candidate)]
        for candidate in (*others, chosen)
    ]
    console.print("on validation data")
    headings = ("combined by", metric, "log-likelihood", "calibration error")
    print_table(console, headings, rows, numbers=(1, 2, 3))


def _figures(candidate: Candidate) -> tuple[str, ...]:
    score = candidate.score
    return (
        candidate.description,
        f"{abs(score.value):.4f}",
        "–" if score.likelihood is None else f"{score.likelihood:.4f}",
        "–" if score.calibration is None else f"{-score.calibration:.4f}",
    )
