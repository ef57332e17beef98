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
from streamproc.cli.tables import Cell, print_table
from streamproc.cli.terminal import TerminalConsole, stdout_console
from streamproc.cli.tuning_runner import answering_judge, foreseeing_judge
from streamproc.errors import SettingsError
from streamproc.offline.corpus.description import read_partitions
from streamproc.offline.corpus.passages import read_passages
from streamproc.offline.corpus.rows import Source, source_from
from streamproc.offline.evaluation.eval_task import subsample_evenly
from streamproc.offline.evaluation.eval_tasks import Data, exam_of
from streamproc.offline.evaluation.next_token import blocks
from streamproc.offline.evaluation.token_counts import token_counts
from streamproc.offline.evaluation.tuning import Candidate, Judge, tune
from streamproc.repository.atomic import write_whole
from streamproc.repository.manifest import GateSection
from streamproc.repository.repository import MANIFEST, StoredEnsemble
from streamproc.repository.writing import manifest_toml
from streamproc.serving.ensembling.gate import evidence
from streamproc.serving.ensembling.steps import STEP_STRATEGIES
from streamproc.serving.loading import load_spec
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.decoding_task import DecodingTask
from streamproc.settings import Settings
from streamproc.types import FloatArray, Strategy


def choose_combination(
    settings: Settings,
    stored: StoredEnsemble,
    data: Data,
    parts: Mapping[str, Sequence[Source]],
    limit: int | None,
    outstanding: int,
) -> None:
    """Try every way on validation data, show how good each is, write the best.

    parts: what each member was trained on, for a gate; empty: none is tried
    """
    gate, used = None, stored.manifest.gate
    if parts:
        with activity("counting the tokens of what members were trained on"):
            gate = _write_gate(stored, data, parts)
    try:
        task = task_named(stored.manifest.task)
        strategies: Sequence[Strategy] = (
            STEP_STRATEGIES if isinstance(task, DecodingTask) else task.strategies
        )
        with _judge(settings, stored, data, limit, outstanding) as (judge, measure):
            *ways, chosen = _all(tune(stored, judge, strategies, gate))
        console = stdout_console()
        _show(console, measure, ways, chosen)
        path = stored.folder / MANIFEST
        write_whole(path, manifest_toml(chosen.stored.manifest))
        used = chosen.stored.manifest.gate
        console.print(f"written: {path}, combined by {chosen.way}")
    finally:
        for table in (stored.manifest.gate, gate):
            if table and (used is None or table.file != used.file):
                (stored.folder / table.file).unlink(missing_ok=True)


def material(
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
    stored: StoredEnsemble, data: Data, parts: Mapping[str, Sequence[Source]]
) -> GateSection:
    """The gate's table, in the ensemble's folder; of no effect until the manifest names it.

    It is named by what is in it, so that it never takes the place of one that is in use.
    """
    members = [member.name for member in stored.manifest.members]
    if set(members) != set(parts):
        raise SettingsError(
            f"a gate needs what each member was trained on: members are {', '.join(members)}; "
            f"--partitions or --part name {', '.join(parts)}"
        )
    counts = [_counts(stored, replace(data, sources=parts[member])) for member in members]
    written = io.BytesIO()
    np.save(written, evidence(np.stack(counts, axis=1)).astype(np.float16), allow_pickle=False)
    digest = hashlib.sha256(written.getvalue()).hexdigest()
    file = f"gate-{digest[:12]}.npy"
    (stored.folder / file).write_bytes(written.getvalue())
    return GateSection(file=file, sha256=digest, members=tuple(members), sharpness=1.0)


def _counts(stored: StoredEnsemble, data: Data) -> FloatArray:
    """(vocabulary,) of the tokens that members see of this data."""
    task = task_named(stored.manifest.task)
    profile = load_spec(stored, task)
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
        chosen = ids[np.array(subsample_evenly(range(len(ids)), limit))]
        with foreseeing_judge(settings, chosen) as judge:
            yield judge, "perplexity"
        return
    exam, _ = exam_of(stored.manifest, data, limit)
    with answering_judge(settings, stored, exam, outstanding) as judge:
        yield judge, exam.measures[0].name


def _all(candidates: Iterator[Candidate]) -> list[Candidate]:
    """All of them, while it is told which is the last that was found."""
    found: list[Candidate] = []
    with activity("asking the members") as say:
        for candidate in candidates:
            found.append(candidate)
            say(f"found: {candidate.way}")
    return found


def _show(
    console: TerminalConsole, measure: str, ways: Sequence[Candidate], chosen: Candidate
) -> None:
    rows = [
        [Cell(text, candidate is chosen) for text in _figures(candidate)]
        for candidate in (*ways, chosen)
    ]
    console.print("on validation data")
    headings = ("combined by", measure, "log-likelihood", "calibration error")
    print_table(console, headings, rows, numbers=(1, 2, 3))


def _figures(candidate: Candidate) -> tuple[str, ...]:
    score = candidate.score
    return (
        candidate.way,
        f"{abs(score.value):.4f}",
        "–" if score.likelihood is None else f"{score.likelihood:.4f}",
        "–" if score.calibrated is None else f"{-score.calibrated:.4f}",
    )
