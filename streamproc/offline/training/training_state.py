"""How far the training of a member has come, beside what transformers' Trainer keeps of it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter

from streamproc.offline.training.events import Epoch
from streamproc.offline.training.training_task import Metrics

_FILE = "training_state.json"


@dataclass(slots=True)
class TrainingState:
    """best:       the best epoch so far
    since_best:    epochs since then
    ended:         no further epoch follows: patience is used up, or it was the last
    loss_sum:      of the batches of the epoch under way, in nats
    batches:       how many these are
    """

    best: Epoch | None = None
    since_best: int = 0
    ended: bool = False
    loss_sum: float = 0.0
    batches: int = 0

    def add_loss(self, loss: float) -> None:
        """Count a batch's loss in."""
        self.loss_sum += loss
        self.batches += 1

    def close_epoch(self, number: int, metrics: Metrics, patience: int, last: int) -> Epoch:
        """The epoch that has passed, compared with the best so far; the next one begins.

        patience: epochs without improvement after which training has converged
        last:     the number of the last epoch there is to be
        """
        best = self.best.validation.selection_key if self.best else (-math.inf, -math.inf)
        # Weights that have become no numbers may still hit a label now and then.
        improved = math.isfinite(metrics.loss) and metrics.selection_key > best
        self.since_best = 0 if improved else self.since_best + 1
        converged = self.since_best >= patience
        self.ended = converged or number == last
        loss = self.loss_sum / self.batches if self.batches else math.nan
        epoch = Epoch(number, loss, metrics, improved, converged)
        if improved:
            self.best = epoch
        self.loss_sum, self.batches = 0.0, 0
        return epoch

    def save(self, checkpoint: Path) -> None:
        """Into a checkpoint's folder; numbers come back to the bit."""
        (checkpoint / _FILE).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, checkpoint: Path) -> Self:
        """As it was saved into a checkpoint's folder."""
        saved = json.loads((checkpoint / _FILE).read_text(encoding="utf-8"))
        return TypeAdapter(cls).validate_python(saved)
