"""A real Ray cluster on this machine that scores texts, for comparisons: what it answers, how fast.

`python -m tests.support.ray_scoring MODELS ENSEMBLE TEXTS.json --way workers:2 --way instance`

It ends with all its processes, and reports nothing to Ray's makers.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import orjson
import psutil
import typer

import streamproc

BATCH = 64


def scored(models: Path, ensemble: str, texts: list[Any], way: str) -> dict[str, Any]:
    """The answers, and the seconds they took, with loading the models.

    way: `workers:N`, that many actors made of the class; `instance`, tasks that are handed a scorer
    """
    import ray

    settings = streamproc.Settings(models_dir=models, threads=1)
    options: dict[str, Any] = {"keep": ["label", "score", "agreement"], "settings": settings}
    rows = [{"row": row, "text": text} for row, text in enumerate(texts)]
    data = ray.data.from_items(rows, override_num_blocks=max(4, len(rows) // 500))
    kind, _, workers = way.partition(":")
    if kind == "instance":
        mapped = data.map_batches(streamproc.Scorer(ensemble, **options), batch_size=BATCH)
    else:
        mapped = data.map_batches(
            streamproc.Scorer,
            fn_constructor_kwargs={"ensemble": ensemble, **options},
            compute=ray.data.ActorPoolStrategy(size=int(workers)),
            batch_size=BATCH,
        )
    started_s = time.monotonic()
    answers = mapped.take_all()
    return {"way": way, "seconds": time.monotonic() - started_s, "answers": answers}


def main(
    models: Path,
    ensemble: str,
    texts: Path,
    way: Annotated[list[str], typer.Option()],
) -> None:
    """Print what each way answers, in JSON."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    asked = orjson.loads(texts.read_bytes())
    # Sockets have short names: no folder of a test's own is short enough.
    with tempfile.TemporaryDirectory(prefix="ray") as place:
        # Actors take a core each, and what feeds them needs one too.
        ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, _temp_dir=place)
        try:
            context = ray.data.DataContext.get_current()
            context.enable_progress_bars = False
            found = [scored(models, ensemble, asked, one) for one in way]
        finally:
            started = psutil.Process().children(recursive=True)
            ray.shutdown()
            _, left = psutil.wait_procs(started, timeout=30)
    typer.echo(orjson.dumps({"ways": found, "left": [str(process) for process in left]}))


if __name__ == "__main__":
    typer.run(main)
