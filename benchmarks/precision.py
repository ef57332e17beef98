"""`python -m benchmarks.precision A B [C …]`: what a smaller precision saves, side by side.

Each is a model repository that holds the same ensemble in another precision, as `streamproc export
RUN --precision fp32 --out A` and `--precision int8 --out B` write it. The first is what the others
are compared with. Members run on the same batches in turns.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.interleaved import Turns, batches_of
from benchmarks.texts import read_texts
from benchmarks.workload import load_members, run_rows
from streamproc.errors import OperatorError
from streamproc.repository.repository import Repository
from streamproc.serving.chunking.windows import Chunk
from streamproc.serving.inference.members import Members
from streamproc.settings import read_settings
from streamproc.types import FloatArray

Logits = list[FloatArray]
"""Of each row, of all members and batches."""


def main() -> None:
    """Print the JSON and write it."""
    asked = _arguments()
    texts = read_texts(read_settings().data)
    ways: dict[str, Callable[[], Logits]] = {}
    forms: dict[str, dict[str, object]] = {}
    try:
        for folder in asked.models:
            stored = Repository(folder).open(asked.ensemble)
            spec, members, _ = load_members(stored, "cpu")
            batches = batches_of(spec, texts, asked.chunks, asked.budget)
            name = str(folder)
            ways[name] = _way(members, batches)
            forms[name] = {
                "precision": sorted({member.precision for member in stored.manifest.members}),
                "mib": round(
                    sum(one.stored_bytes or 0 for one in stored.manifest.members) / 2**20, 1
                ),
            }
    except OperatorError as error:
        sys.exit(str(error))
    first = str(asked.models[0])
    turns = Turns(ways, asked.rounds)
    for name, form in forms.items():
        form["cpu_s_per_1000_chunks"] = round(1000 * turns.cpu_s(name) / asked.chunks, 2)
        form["speed_to_first"] = round(turns.ratio(first, name), 2)
        form["other_labels_of_1000"] = _other(turns.results[first], turns.results[name])
    print(json.dumps(forms, indent=1))
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(forms, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.precision", description=__doc__)
    parser.add_argument("models", type=Path, nargs="+", help="model repositories, fp32 first")
    parser.add_argument("--ensemble", required=True, help="its name in each, that classifies texts")
    parser.add_argument("--chunks", type=int, default=1000)
    parser.add_argument("--budget", type=int, default=512, help="padded tokens a batch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path("build/precision.json"))
    return parser.parse_args()


def _way(members: Members, batches: Sequence[Sequence[Chunk]]) -> Callable[[], Logits]:
    return lambda: [row for batch in batches for row in run_rows(members, batch)]


def _other(one: Logits, other: Logits) -> float:
    """Rows of members that get another label, of 1,000."""
    differ = [np.argmax(a) != np.argmax(b) for a, b in zip(one, other, strict=True)]
    return round(1000 * float(np.mean(differ)), 1)


if __name__ == "__main__":
    main()
