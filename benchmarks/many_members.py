"""`python -m benchmarks.many_members`: what small members take of memory, many in one process.

One member of an ensemble, opened so many times, runs batches of several shapes on two threads: with
the arena that a worker's sessions share, and with one for each session, ONNX Runtime's own way.
Each way in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import onnxruntime as ort

from benchmarks.memory import status_mib
from streamproc.repository.repository import Repository
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.inference.session import new_call
from streamproc.serving.inference.session_factory import open_session
from streamproc.settings import read_settings

WAYS: Final = ("an arena each", "one arena")
# Rows and tokens of batches: 512 padded tokens, long and short, one after another.
_SHAPES: Final = ((2, 250), (8, 64), (32, 16), (16, 32), (5, 100), (3, 170))
_REPEATS: Final = 3


def main() -> None:
    """Print the table."""
    asked = _arguments()
    if asked.way is not None:
        print(json.dumps(_measured(asked)))
        return
    print(
        f"| {asked.count} members of {asked.ensemble} | MiB each, loaded | MiB each, run | CPU s |"
    )
    print("|---|---|---|---|")
    for way in WAYS:
        again = [sys.executable, "-m", "benchmarks.many_members", *sys.argv[1:], "--way", way]
        found = json.loads(subprocess.check_output(again))
        print(f"| {way} | {found['loaded']:.1f} | {found['run']:.1f} | {found['cpu_s']:.2f} |")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.many_members", description=__doc__)
    parser.add_argument("--ensemble", default="sentiment")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--way", choices=WAYS, help="measure this one, in this process")
    return parser.parse_args()


def _measured(asked: argparse.Namespace) -> dict[str, float]:
    stored = Repository(read_settings().models_dir).open(asked.ensemble)
    model = stored.model(stored.manifest.members[0])
    before = status_mib("VmRSS")
    open_one: Callable[[], Any] = {
        "one arena": lambda: open_session("m", model, Provider(CPU)),
        "an arena each": lambda: _as_onnxruntime_does(model),
    }[asked.way]
    sessions = [open_one() for _ in range(asked.count)]
    loaded = status_mib("VmRSS") - before
    cpu_s = time.process_time()
    with ThreadPoolExecutor(asked.threads) as threads:
        for rows, tokens in _SHAPES * _REPEATS:
            feeds = _feeds(sessions[0], rows, tokens)
            list(threads.map(lambda one, fed=feeds: one.run(None, fed, new_call()), sessions))
    return {
        "loaded": loaded / asked.count,
        "run": (status_mib("VmRSS") - before) / asked.count,
        "cpu_s": time.process_time() - cpu_s,
    }


def _as_onnxruntime_does(model: bytes) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(model, options, providers=[CPU])


def _feeds(session: Any, rows: int, tokens: int) -> dict[str, np.ndarray[Any, Any]]:
    def of(name: str, shape: Sequence[Any]) -> np.ndarray[Any, Any]:
        if len(shape) == 3:
            return np.zeros((rows, tokens, shape[2]), np.float32)
        return (np.ones if name == "attention_mask" else np.zeros)((rows, tokens), np.int64)

    return {one.name: of(one.name, one.shape) for one in session.get_inputs()}


if __name__ == "__main__":
    main()
