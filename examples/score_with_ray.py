"""Answer a data set on a Ray cluster: every worker loads the models once, and answers batches.

    pip install "streamproc[ray]"
    python examples/score_with_ray.py

It starts a cluster of two workers on this machine; `ray.init(address="auto")` joins one that runs.
Workers find the models where STREAMPROC_MODELS_DIR says, or settings= of the scorer does.
"""

from __future__ import annotations

import os

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray

import streamproc

REVIEWS = [
    "The plot drags, but the acting is a joy.",
    "I want those two hours back.",
    "A film that stays with you.",
    None,
] * 50


def main() -> None:
    """Print how many of each label there are, and what could not be answered."""
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    reviews = ray.data.from_items([{"review": review} for review in REVIEWS], override_num_blocks=4)
    scored = reviews.map_batches(
        streamproc.Scorer,
        fn_constructor_kwargs={
            "ensemble": "sentiment",
            "columns": {"text": "review"},
            "keep": ["label", "score", "agreement"],
            # Two workers share the cores of this machine.
            "settings": streamproc.Settings(threads=1),
        },
        compute=ray.data.ActorPoolStrategy(size=2),
        batch_size=64,
    )
    rows = scored.take_all()
    for label in ("negative", "positive"):
        print(f"{label}: {sum(row['label'] == label for row in rows)}")
    errors = [row["error"] for row in rows if row["error"]]
    print(f"not answered: {len(errors)} ({errors[0]})")
    ray.shutdown()


if __name__ == "__main__":
    main()
