"""What is asked of peers, and the files that they answer it with."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.measure import BenchmarkFailed
from benchmarks.peers.scorer import Models
from benchmarks.workload import Workload
from streamproc.repository.repository import StoredEnsemble


def in_one_window(workload: Workload) -> Workload:
    """The requests whose text is one chunk, as peers cut off what is longer."""
    kept = [number for number, own in enumerate(workload.chunks) if len(own) == 1]
    return replace(
        workload,
        texts=tuple(workload.texts[number] for number in kept),
        chunks=tuple(workload.chunks[number] for number in kept),
    )


def models_of(stored: StoredEnsemble) -> Models:
    """What peers need to give the same answers; raises BenchmarkFailed where they can't."""
    manifest = stored.manifest
    if manifest.combine.strategy != "mean" or any(
        member.labels != manifest.labels or member.file is None for member in manifest.members
    ):
        raise BenchmarkFailed(
            f"{stored.name}: peers combine whole members of the same labels by their mean"
        )
    prefix = manifest.prefix
    return Models(
        tokenizer=str((stored.folder / manifest.tokenizer.file).resolve()),
        window=manifest.window.max_tokens,
        prefix=None if prefix is None else str(stored.prefix_path(prefix).resolve()),
        members=tuple(str((stored.folder / str(m.file)).resolve()) for m in manifest.members),
        labels=manifest.labels,
        temperature=manifest.combine.temperature,
    )
