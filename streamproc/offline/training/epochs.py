"""A member's batches as Trainer asks for them: another order each epoch, a share per process."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from itertools import chain, islice, repeat
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset

from streamproc.errors import TrainingError
from streamproc.offline.training.training_task import MemberTrainer

NOTHING_TO_LEARN = (
    "None of the records can be learned from: each is empty, or longer than --window has room for."
)


class Epochs(IterableDataset):  # type: ignore[misc]
    """The batches of one epoch after another, of which each process of several takes every n-th.

    What an epoch's order is depends on the seed and the epoch's number alone, so that training
    which goes on after a kill sees what it would have seen.
    """

    def __init__(self, member: MemberTrainer[Any], seed: int, process: int, processes: int) -> None:
        super().__init__()
        self._member, self._seed = member, seed
        self._process, self._processes = process, processes
        self.epoch = 0

    def __len__(self) -> int:
        """Of one epoch, the same for each process."""
        return math.ceil(self._member.steps / self._processes)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        drawn = iter(self._batches())
        # An epoch that has fewer batches than it may have begins anew, or the processes would wait
        # for each other, and Trainer would take the next epoch's first steps for this one's last.
        first = next(drawn, None)
        if first is None:
            raise TrainingError(NOTHING_TO_LEARN)
        again = chain.from_iterable(self._batches() for _ in repeat(None))
        own = islice(chain([first], drawn, again), self._process, None, self._processes)
        for batch in islice(own, len(self)):
            yield {"batch": batch}

    def _batches(self) -> Iterator[Any]:
        order = random.Random(f"{self._seed} {self.epoch}")  # noqa: S311  # to be repeated
        return self._member.batches(order)


class EpochLoader(DataLoader):  # type: ignore[misc]
    """The batches as they are, made in this process."""

    def __init__(self, epochs: Epochs) -> None:
        # A generator of its own: with torch's, each epoch would draw from what dropout draws from.
        generator = torch.Generator()
        super().__init__(epochs, batch_size=None, collate_fn=as_it_is, generator=generator)

    def set_epoch(self, epoch: int) -> None:
        """Which epoch's batches come next, from 0."""
        self.dataset.epoch = epoch


def as_it_is(batch: dict[str, Any]) -> dict[str, Any]:
    """In the place of torch's conversion of arrays to tensors."""
    return batch
