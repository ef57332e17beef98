"""A thousand simulated experiments of each kind, looked at after every batch of requests.

`python -m tests.acceptance.experiments_simulated`
says how many of the experiments whose arms are alike find a difference all the same, which is to be
one in twenty at most, beside what a test that is meant for one look would have found; and of those
with a difference how many find it, and after how many requests. The differences and intervals are
those of reports, by the same code.
"""

from __future__ import annotations

from typing import Annotated

import typer

from streamproc.offline.experiments.confidence_sequence import ALPHA
from tests.support.report import say, tell
from tests.support.simulated_experiments import World, rates, simulate

ALIKE = {
    "alike, 10 % right": World(0.1, 0.1),
    "alike, 50 % right": World(0.5, 0.5),
    "alike, 90 % right": World(0.9, 0.9),
    "alike, 99 % right": World(0.99, 0.99),
    "alike, 99.9 % right": World(0.999, 0.999),
    "alike, keys of 10 requests": World(0.8, 0.8, per_key=10),
    "alike, a mix that changes": World(0.8, 0.8, with_mix=True),
}
DIFFERENT = {
    "90 % and 92 % right": World(0.9, 0.92, 20_000, 1_000),
    "90 % and 93 % right": World(0.9, 0.93, 10_000, 500),
    "90 % and 95 % right": World(0.9, 0.95, 10_000, 500),
    "80 % and 85 % right": World(0.8, 0.85, 10_000, 500),
    "2 % and 4 % errors": World(0.02, 0.04, 10_000, 500),
}


def main(
    experiments: Annotated[int, typer.Option(min=10, help="experiments of each kind")] = 1_000,
    seed: Annotated[int, typer.Option(min=0, help="of all that is drawn")] = 16,
) -> None:
    """Simulate experiments, and count what is found that is not there, and what is."""
    figures: dict[str, object] = {}
    good = True
    for name, world in (ALIKE | DIFFERENT).items():
        found = dict(rates(simulate(world, experiments, seed)))
        say(f"{name}: " + ", ".join(f"{what} {figure:.4g}" for what, figure in found.items()))
        figures[name] = found
        good &= found["always covered"] >= 1 - ALPHA
        good &= name not in ALIKE or found["decided"] <= ALPHA
    tell(f"{experiments} experiments of each kind", {"kinds": figures}, good)


if __name__ == "__main__":
    typer.run(main)
