"""`python -m benchmarks.gpu`: a worker's models on a GPU beside ONNX Runtime alone, in fp16.

Under ten minutes, no network, one table at the end. Three whole MiniLM-L6 classifiers in fp16, as
`export --precision fp16` writes them, their heads untrained; a worker's pipeline beside raw batches
of the same sessions; an ensemble of random decoders that writes text, one request at a time and 32.
Where there is no GPU it says so and measures nothing; `--device cpu` tries the command itself out,
in fp32.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks import full_size
from benchmarks.__main__ import BUDGET_TOKENS
from benchmarks.end_to_end import InPipeline
from benchmarks.generating import Writing, under_load
from benchmarks.generation import open_generator
from benchmarks.in_process import ArrivalBatches, Ceiling, OneAtATime
from benchmarks.measure import Contender, Round, in_turns, shares
from benchmarks.random_generators import random_ensemble
from benchmarks.texts import read_texts, requested
from benchmarks.traffic import TASK
from benchmarks.workload import DeviceUnusable, build_workload, load_members
from streamproc.clock import SystemClock
from streamproc.errors import OperatorError
from streamproc.repository.repository import Repository
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.serving.inference.providers import missing_for_cuda
from streamproc.settings import read_settings
from streamproc.worker import local_pipeline

BUILD: Final = Path("build")
# Of ten minutes; what is made and loaded beside it takes the rest.
MEASURED_S: Final = 300.0
_MOST_ROUNDS: Final = 9
_TOKENS: Final = 64


def main() -> None:
    """Make the models, measure, print the table."""
    asked = _arguments()
    missing = missing_for_cuda() if asked.device == "cuda" else None
    if missing is not None:
        print(f"Nothing was measured, as there is no GPU to use here: {missing}.")
        return
    try:
        lines = [*_classified(asked), *_generated(asked)]
    except (DeviceUnusable, OperatorError) as error:
        sys.exit(f"nothing was measured: {error}")
    print(f"\n| on {asked.device}, {asked.threads} threads | figure | beside raw ONNX Runtime |")
    print("|---|---|---|", *lines, sep="\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--requests", type=int, default=4000, help="in a round")
    parser.add_argument("--writing", type=int, default=64, help="requests that write text")
    parser.add_argument("--threads", type=int, default=min(8, os.cpu_count() or 1))
    return parser.parse_args()


def _classified(asked: argparse.Namespace) -> Iterator[str]:
    root = _full_size(half=asked.device == "cuda")
    budget_tokens = BUDGET_TOKENS[asked.device]
    settings = read_settings(
        device=asked.device,
        threads=asked.threads,
        batch_budget_tokens=budget_tokens,
        models_dir=root,
    )
    spec, members, _ = load_members(Repository(root).open("sentiment"), asked.device)
    texts = requested(read_texts(settings.data), asked.requests)
    workload = build_workload(texts, spec, members)
    ceiling = Ceiling(workload, asked.threads, budget_tokens)

    async def measured() -> dict[str, list[Round]]:
        async with local_pipeline(settings, TASK, spec.name, SystemClock()) as pipeline:
            contenders: list[Contender] = [
                ceiling,
                InPipeline(workload, pipeline),
                OneAtATime(workload, asked.threads),
                ArrivalBatches(workload, asked.threads),
            ]
            # Kernels are chosen, and memory taken, for every shape that comes.
            began_s = time.monotonic()
            await in_turns(contenders, 1, _say)
            a_round_s = time.monotonic() - began_s
            rounds = max(1, min(_MOST_ROUNDS, int(MEASURED_S / a_round_s) - 1))
            return await in_turns(contenders, rounds, _say)

    done = asyncio.run(measured())
    for name, rounds in done.items():
        per_s = sorted(one.requests_per_s for one in rounds)[len(rounds) // 2]
        share = sorted(shares(rounds, done[ceiling.name]))[len(rounds) // 2]
        yield f"| {name} | {per_s:,.0f} requests/s | {share:.2f} |"


def _full_size(*, half: bool) -> Path:
    """Whole classifiers in fp32, or a copy of them in fp16; needs the extra `train`."""
    root = BUILD / "full-size"
    full_size.main(root)
    return full_size.in_half(root, BUILD / "full-size-fp16") if half else root


def _generated(asked: argparse.Namespace) -> Iterator[str]:
    executor = ModelExecutor(asked.threads)
    root = BUILD / "generators"
    engine = open_generator(root, random_ensemble(root, 2), asked.device, executor)
    texts = requested(read_texts(read_settings().data), asked.writing)
    writings = [Writing(text[:200], _TOKENS) for text in texts]

    async def measured() -> list[float]:
        await under_load(engine, writings[:4], 4)
        return [
            (await under_load(engine, writings, at_once)).tokens_per_s for at_once in (1, 8, 32)
        ]

    one, *more = asyncio.run(measured())
    executor.close()
    executor.join()
    yield f"| text written, one request at a time | {one:,.0f} tokens/s | |"
    for at_once, per_s in zip((8, 32), more, strict=True):
        times = f"{per_s / one:.2f} times one"
        yield f"| text written, {at_once} at once | {per_s:,.0f} tokens/s, {times} | |"


def _say(what: str) -> None:
    print(what, file=sys.stderr)


if __name__ == "__main__":
    main()
