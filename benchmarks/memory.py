"""`python -m benchmarks.memory MODELS ENSEMBLE BOUND_MB …`: what an ensemble takes; a line of JSON.

Run in a process of its own by `benchmarks.stages`, so that its memory is the ensemble's alone.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from streamproc.repository.repository import Repository
from streamproc.serving.inference.batch import Batch
from streamproc.serving.inference.providers import choose_provider
from streamproc.serving.inference.residency import MIB, Residency
from streamproc.serving.inference.session import new_call
from streamproc.serving.loading import load_sessions
from streamproc.serving.tasks.catalogue import scoring_task_named

_STATUS = Path("/proc/self/status")


def main() -> None:
    """Load, run the batches, and say what it took."""
    asked = _arguments()
    before = status_mib("VmHWM")
    residency = Residency(asked.bound_mb * MIB or None)
    stored = Repository(asked.models).open(asked.ensemble)
    task = scoring_task_named(stored.manifest.task)
    began_s = time.perf_counter()
    (session,) = load_sessions(stored, task, choose_provider("cpu"), residency).sessions
    load_s = time.perf_counter() - began_s
    loads_to_open = residency.loads
    batches = _batches(asked.batches, asked.rows, asked.tokens, asked.words)

    def scores(batch: Batch) -> list[list[float]]:
        return [row.tolist() for row in session.run(batch, new_call())]

    began_s = time.perf_counter()
    with ThreadPoolExecutor(asked.threads) as threads:
        found = list(threads.map(scores, batches))
    took_s = time.perf_counter() - began_s
    said: dict[str, Any] = {
        "before_mib": before,
        "peak_mib": status_mib("VmHWM"),
        "load_s": load_s,
        "batch_s": took_s / len(batches),
        "loads_a_batch": (residency.loads - loads_to_open) / len(batches),
        "scores": found,
    }
    print(json.dumps(said))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.memory", description=__doc__)
    parser.add_argument("models", type=Path)
    parser.add_argument("ensemble")
    parser.add_argument("bound_mb", type=int, help="0: none")
    parser.add_argument("--batches", type=int, required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--words", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    return parser.parse_args()


def _batches(count: int, rows: int, tokens: int, words: int) -> list[Batch]:
    """The same for the same numbers; the last row of each is shorter than the rest."""
    random = np.random.default_rng(0)
    made = []
    for _ in range(count):
        ids = random.integers(0, words, (rows, tokens))
        mask = np.ones_like(ids)
        mask[-1, tokens // 2 :] = 0
        made.append(Batch(ids, mask, np.zeros_like(ids)))
    return made


def status_mib(name: str) -> float:
    """Of this process: VmHWM, its peak, which unlike getrusage's knows nothing of its parent."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
