"""`python -m benchmarks.generation`: many requests that write text at once, against one at a time.

Tokens a second and the time to the first token with 1, 8 and 32 requests in the works, in turns for
several rounds; how long short requests take beside long ones, in their own lane and in the bulk
lane. In this process, without Kafka: the loop that decodes, and what an ensemble does in it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.generating import Load, Writing, beside, under_load
from benchmarks.latencies import Latencies
from benchmarks.random_generators import random_ensemble
from benchmarks.texts import read_texts, requested
from streamproc.clock import SystemClock
from streamproc.errors import ModelRefused, OperatorError
from streamproc.messages.lane import Lane
from streamproc.metrics import Metrics
from streamproc.repository.repository import Repository
from streamproc.serving.assembly import load_engine
from streamproc.serving.batching.batcher import Limits
from streamproc.serving.context import EngineContext
from streamproc.serving.engine import Engine
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.serving.inference.providers import choose_provider
from streamproc.serving.tasks.catalogue import task_named
from streamproc.settings import read_settings

AT_ONCE = (1, 8, 32)
LONG_TOKENS, SHORT_TOKENS, LONG_REQUESTS = 256, 8, 8


def main() -> None:
    """Print the tables, write the JSON."""
    asked = _arguments()
    settings = read_settings(device=asked.device)
    root = settings.models_dir
    try:
        if asked.ensemble is None:
            root = Path("build") / "generators"
            asked.ensemble = random_ensemble(root, asked.members)
        executor = ModelExecutor(asked.threads)
        engine = open_generator(root, asked.ensemble, settings.device, executor)
    except OperatorError as error:
        sys.exit(str(error))
    most = engine.spec.decodes.max_tokens // 2
    asked.tokens, long_tokens = min(asked.tokens, most), min(LONG_TOKENS, most)
    texts = requested(
        [text for text in read_texts(settings.data) if len(text) > 40], asked.requests
    )
    prompts = [text[:200] for text in texts]
    found = asyncio.run(_measured(engine, prompts, asked, long_tokens))
    executor.close()
    executor.join()
    about = {
        "ensemble": engine.spec.name,
        "members": len(engine.spec.members),
        "device": settings.device,
        "threads": executor.threads,
        "requests": asked.requests,
        "tokens": asked.tokens,
        "long_tokens": long_tokens,
        "rounds": asked.rounds,
    }
    print(", ".join(f"{name} {value}" for name, value in about.items()), _table(found), sep="\n\n")
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps({**about, **_as_json(found)}, indent=1))
    if not found["equal"]:
        sys.exit("the same requests got other texts at another load, or in another round")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.generation", description=__doc__)
    parser.add_argument("--ensemble", help="of STREAMPROC_MODELS_DIR; default: random weights")
    parser.add_argument("--members", type=int, default=2, help="of the random ensemble")
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=64, help="written for each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/generation.json"))
    asked = parser.parse_args()
    if asked.requests < max(AT_ONCE):
        parser.error(f"--requests: {asked.requests} can't be {max(AT_ONCE)} at once")
    return asked


def open_generator(root: Path, name: str, device: str, executor: ModelExecutor) -> Engine:
    """An ensemble that writes text, with a worker's bounds; raises ModelRefused."""
    stored = Repository(root).open(name)
    if stored.manifest.task != "text-generation":
        raise ModelRefused(
            f"ensemble {name} is for {stored.manifest.task}; this measures text-generation"
        )
    return load_engine(
        stored,
        task_named(stored.manifest.task),
        choose_provider(device),
        EngineContext(
            executor,
            Limits(budget_tokens=512, slots=executor.threads, max_wait_ms=0, max_queued_tokens=1),
            call_timeout_s=60,
            max_document_chunks=1,
            clock=SystemClock(),
            metrics=Metrics(),
        ),
    )


async def _measured(
    engine: Engine, prompts: list[str], asked: argparse.Namespace, long_tokens: int
) -> dict[str, Any]:
    writings = [Writing(prompt, asked.tokens) for prompt in prompts]
    await under_load(engine, writings[:4], 4)
    rounds = [
        [await under_load(engine, writings, at_once) for at_once in AT_ONCE]
        for _ in range(asked.rounds)
    ]
    short = [Writing(prompt, SHORT_TOKENS) for prompt in prompts]
    long = [Writing(prompt, long_tokens) for prompt in prompts[:LONG_REQUESTS]]
    return {
        "loads": [Load.over(loads) for loads in zip(*rounds, strict=True)],
        "short": {
            "alone": await beside(engine, short, [], Lane.INTERACTIVE),
            f"beside {LONG_REQUESTS} long": await beside(engine, short, long, Lane.INTERACTIVE),
            f"beside {LONG_REQUESTS} long in bulk": await beside(engine, short, long, Lane.BULK),
            "a long one, alone": await beside(engine, long[:4], [], Lane.INTERACTIVE),
        },
        "equal": len({load.texts for loads in rounds for load in loads}) == 1,
    }


def _table(found: dict[str, Any]) -> str:
    loads: list[Load] = found["loads"]
    one = loads[0].tokens_per_s
    short: dict[str, Latencies] = found["short"]
    columns = "requests at once | tokens/s | to one at a time | CPU ms a token"
    lines = [
        f"| {columns} | first token p50 ms | p99 ms |",
        "|---|---|---|---|---|---|",
        *(
            f"| {load.at_once} | {load.tokens_per_s:.0f} | {load.tokens_per_s / one:.2f} "
            f"| {load.cpu_ms_per_token:.2f} | {load.first_token.p50_ms:.0f} "
            f"| {load.first_token.p99_ms:.0f} |"
            for load in loads
        ),
        "",
        f"| {SHORT_TOKENS} tokens written | p50 ms | p99 ms |",
        "|---|---|---|",
        *(
            f"| {name} | {latencies.p50_ms:.0f} | {latencies.p99_ms:.0f} |"
            for name, latencies in short.items()
        ),
    ]
    return "\n".join(lines)


def _as_json(found: dict[str, Any]) -> dict[str, Any]:
    return {
        "loads": [load.as_json() for load in found["loads"]],
        "short": {name: latencies.as_json() for name, latencies in found["short"].items()},
    }


if __name__ == "__main__":
    main()
