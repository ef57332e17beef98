"""`python -m benchmarks.prefix`: what sharing the layers before all members saves.

The members of an ensemble behind one run of their prefix, against each behind a run of its own, and
against whole members in fp32, on the same batches in turns; what the files come to on disk, for all
ensembles that share them; and, with STREAMPROC_DATA set, the accuracy of `sentiment` both ways.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import orjson

from benchmarks.in_process import Ceiling
from benchmarks.interleaved import Turns, batches_of
from benchmarks.texts import read_texts
from benchmarks.traffic import TASK
from benchmarks.widening import whole_members
from benchmarks.workload import build_workload, load_members, run_rows
from streamproc.errors import OperatorError
from streamproc.repository.repository import Repository, StoredEnsemble
from streamproc.serving.chunking.windows import Chunk
from streamproc.serving.inference.batch import Batch
from streamproc.serving.inference.members import Members
from streamproc.serving.inference.session import new_call
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.settings import read_settings
from streamproc.types import FloatArray

VALIDATION: Final = Path("sentiment_open") / "valid.jsonl.gz"
VALIDATED: Final = 1500

Logits = list[list[FloatArray]]
"""Of each batch, of each member and row in turn."""


def main() -> None:
    """Print a table, write the JSON."""
    asked = _arguments()
    settings = read_settings()
    repository = Repository(settings.models_dir)
    try:
        stored = repository.open(asked.ensemble)
        if stored.manifest.prefix is None:
            sys.exit(f"{asked.ensemble} has no prefix to share.")
        spec, members, _ = load_members(stored, "cpu")
        whole = whole_members(stored)
    except OperatorError as error:
        sys.exit(str(error))
    batches = batches_of(spec, read_texts(settings.data), asked.chunks, asked.budget)
    ways: dict[str, Callable[[], Logits]] = {
        "shared": lambda: [run_rows(members, batch) for batch in batches],
        "each its own": lambda: [_apart(members, batch) for batch in batches],
        "each whole, fp32": lambda: [run_rows(whole, batch) for batch in batches],
    }
    turns = Turns(ways, asked.rounds)
    found = {
        "ensemble": asked.ensemble,
        "members": len(members.sessions),
        "chunks": asked.chunks,
        "cpu_s_per_1000_chunks": {
            name: round(1000 * turns.cpu_s(name) / asked.chunks, 2) for name in ways
        },
        "apart_to_shared": round(turns.ratio("each its own", "shared"), 2),
        "fp32_to_shared": round(turns.ratio("each whole, fp32", "shared"), 2),
        "same_answers": _same(turns.results["shared"], turns.results["each its own"]),
        "mib": _on_disk(repository, stored),
    }
    if settings.data is not None and stored.manifest.task == TASK:
        found["accuracy"] = _accuracies(settings.data, spec, (members, whole), asked.budget)
    print(json.dumps(found, indent=1))
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(found, indent=1) + "\n")
    if not found["same_answers"]:
        sys.exit("members answer otherwise behind a prefix that is run for them alone")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.prefix", description=__doc__)
    parser.add_argument("--ensemble", default="sentiment", help="of STREAMPROC_MODELS_DIR")
    parser.add_argument("--chunks", type=int, default=1000)
    parser.add_argument("--budget", type=int, default=512, help="padded tokens a batch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path("build/prefix.json"))
    return parser.parse_args()


def _apart(members: Members, batch: Sequence[Chunk]) -> list[FloatArray]:
    return [
        row
        for session in members.sessions
        for row in session.run(Batch.pad(members.run_backbone(batch)), new_call())
    ]


def _same(one: Logits, other: Logits) -> bool:
    return all(
        np.array_equal(a, b)
        for own, others in zip(one, other, strict=True)
        for a, b in zip(own, others, strict=True)
    )


def _accuracies(
    data: Path, spec: EnsembleSpec, ways: Sequence[Members], budget_tokens: int
) -> list[float]:
    """Shared, and whole in fp32, on reviews that validate."""
    lines = gzip.decompress((data / VALIDATION).read_bytes()).splitlines()[:VALIDATED]
    records = [orjson.loads(line) for line in lines]
    labels = np.array([record["label"] for record in records])
    texts = [record["text"] for record in records]
    rounds = [
        asyncio.run(Ceiling(build_workload(texts, spec, members), 2, budget_tokens).round())
        for members in ways
    ]
    return [round(float((one.answers.argmax(axis=1) == labels).mean()), 4) for one in rounds]


def _on_disk(repository: Repository, stored: StoredEnsemble) -> dict[str, object]:
    """MiB of all ensembles that have the same prefix, as they are and with a copy a member."""
    sharing = [
        one
        for one in map(repository.open, repository.names())
        if one.manifest.prefix == stored.manifest.prefix
    ]
    prefix = (stored.manifest.prefix and stored.manifest.prefix.size_bytes) or 0
    sizes = [member.size_bytes or 0 for one in sharing for member in one.manifest.members]
    return {
        "ensembles": [one.manifest.name for one in sharing],
        "shared": round((sum(sizes) + prefix) / 2**20, 1),
        "a copy each": round((sum(sizes) + len(sizes) * prefix) / 2**20, 1),
    }


if __name__ == "__main__":
    main()
