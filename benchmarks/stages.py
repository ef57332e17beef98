"""`python -m benchmarks.stages`: a model in stages beside the whole: memory, time, equality.

Makes a BERT of random weights, cuts it, and runs the same batches in a process each: the whole, all
stages loaded, and stages loaded in turn under several bounds. Exits with 1 where scores differ from
the whole's by more than 1e-5, or a bound's peak is not below the whole's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.large_models import Size, large_ensemble
from benchmarks.measure import BenchmarkFailed
from streamproc.errors import OperatorError
from streamproc.offline.splitting.ensemble_splitter import SplitMember, split_ensemble
from streamproc.repository.repository import Repository
from streamproc.settings.sizes import MIB

STAGED = "large-staged"
LARGEST_DIFFERENCE = 1e-5
_SHARES = (0.75, 0.5)


def main() -> None:
    """Print the table, write the JSON."""
    asked = _arguments()
    size = Size(asked.layers, asked.width, asked.words)
    try:
        with tempfile.TemporaryDirectory(prefix="streamproc-stages-") as folder:
            rows = _measured(Path(folder), size, asked)
    except OperatorError as error:
        sys.exit(str(error))
    print(_table(rows))
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(rows, indent=1))
    whole = rows[0]
    for row in rows[1:]:
        if row["difference"] > LARGEST_DIFFERENCE:
            sys.exit(f"{row['name']}: scores differ from the whole's by {row['difference']:.2g}")
        if row["peak_mib"] >= whole["peak_mib"]:
            sys.exit(f"{row['name']}: takes no less than the whole")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.stages", description=__doc__)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--words", type=int, default=30_522)
    parser.add_argument("--stages", type=int, default=5)
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1, help="that run batches")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/stages.json"))
    return parser.parse_args()


def _measured(root: Path, size: Size, asked: argparse.Namespace) -> list[dict[str, Any]]:
    print(f"a BERT of {size.layers} layers of {size.width}, {size.words} words", file=sys.stderr)
    whole = Repository(root).open(large_ensemble(root, size))
    cut: list[SplitMember] = []
    split_ensemble(whole, asked.stages, root, STAGED, (), cut.append)
    sizes = [stage.resident_bytes for stage in cut[0].stages]
    total, largest = sum(sizes), -(-max(sizes) // MIB)
    shown = ", ".join(f"{own / MIB:.0f}" for own in sizes)
    print(f"{total / MIB:.0f} MiB of weights in stages of {shown} MiB", file=sys.stderr)
    bounds = sorted({int(share * total / MIB) for share in _SHARES} | {largest}, reverse=True)
    runs = [
        ("whole", whole.manifest.name, 0),
        ("stages, all loaded", STAGED, 0),
        *((f"stages, at most {bound} MiB", STAGED, bound) for bound in bounds if bound >= largest),
    ]
    rows: list[dict[str, Any]] = []
    for name, ensemble, bound in runs:
        said = _in_its_process(root, ensemble, bound, asked)
        rows.append({"name": name, **said})
    expected = np.array(rows[0]["scores"])
    for row in rows:
        row["difference"] = float(np.abs(np.array(row.pop("scores")) - expected).max())
    return rows


def _in_its_process(
    root: Path, ensemble: str, bound_mb: int, asked: argparse.Namespace
) -> dict[str, Any]:
    flags = ("batches", "rows", "tokens", "words", "threads")
    command = [sys.executable, "-m", "benchmarks.memory", str(root), ensemble, str(bound_mb)]
    for flag in flags:
        command += [f"--{flag}", str(getattr(asked, flag))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchmarkFailed(f"{ensemble} at {bound_mb} MiB failed: {done.stderr[-2000:]}")
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| | peak MiB | of it the ensemble's | load s | s a batch | loads a batch | off by |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {row['name']} | {row['peak_mib']:.0f} | {row['peak_mib'] - row['before_mib']:.0f} "
            f"| {row['load_s']:.1f} | {row['batch_s']:.2f} | {row['loads_a_batch']:.1f} "
            f"| {row['difference']:.2g} |"
            for row in rows
        ),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
