"""Which loads there are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from tests.chaos.loads.instant import Instant
from tests.chaos.loads.load import Load
from tests.chaos.loads.shop import Shop
from tests.chaos.loads.tasks import Tasks
from tests.support.served import served


class LoadName(StrEnum):
    """As the command takes it."""

    INSTANT = "instant"
    TASKS = "tasks"
    SHOP = "shop"


@contextmanager
def load_named(
    name: LoadName, seed: int, tasks: str, models_dir: Path | None, *, small: bool
) -> Iterator[Load]:
    """A load, and its models for as long as the block lasts.

    tasks, models_dir, small: as `served` takes them, for loads of shipped ensembles
    """
    if name == LoadName.INSTANT:
        yield Instant()
        return
    with served(tasks, models_dir, small=small) as of:
        yield Tasks(of) if name == LoadName.TASKS else Shop(of, seed)
