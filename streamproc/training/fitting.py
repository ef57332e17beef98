"""Fitting one member: a generator of step and epoch records; showing them is the caller's job."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from streamproc.training.course import Judgement, Lesson

# By name, as a model's state_dict has them.
Weights = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast a member learns.

    epochs:   at most so many passes over its records
    patience: epochs without a better judgement after which it has converged
    """

    epochs: int = 8
    patience: int = 2
    batch_size: int = 32
    learning_rate: float = 2e-4
    warmup_share: float = 0.1
    weight_decay: float = 0.01


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the optimiser. loss: of its batch, in nats."""

    step: int
    steps: int
    epoch: int
    loss: float
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the records, and what it has brought on the validation records.

    converged: no further epoch follows
    """

    epoch: int
    train_loss: float
    judgement: Judgement
    best: bool
    converged: bool


def fit(lesson: Lesson[Any], schedule: Schedule, seed: int) -> Iterator[Step | Epoch]:
    """Train a lesson's model in place until its judgement stops rising, then keep its best epoch.

    Yields a Step a batch and an Epoch a pass. The same seed, data and number of threads give the
    same weights. The learning rate warms up, then falls along a cosine to zero at the last epoch.
    """
    torch.manual_seed(seed)
    order = random.Random(seed)  # noqa: S311  # an order to be repeated, not a secret
    model = lesson.model
    steps = lesson.steps * schedule.epochs
    optimizer = _optimizer(model, schedule)
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, _rate(schedule, steps))

    best = (-math.inf, -math.inf)
    best_weights: dict[str, Any] = {}
    since_best, step = 0, 0
    for epoch in range(1, schedule.epochs + 1):
        losses: list[float] = []
        for batch in lesson.batches(order):
            model.train()
            loss = lesson.loss(batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            rates.step()
            step += 1
            losses.append(loss.item())
            yield Step(step, steps, epoch, losses[-1], rates.get_last_lr()[0])

        judgement = lesson.judge()
        improved = judgement.deciding > best
        if improved:
            best, since_best = judgement.deciding, 0
            best_weights = copy.deepcopy(model.state_dict())
        else:
            since_best += 1
        converged = since_best >= schedule.patience or epoch == schedule.epochs
        yield Epoch(epoch, float(np.mean(losses)), judgement, improved, converged)
        if converged:
            break
    model.load_state_dict(best_weights)
    model.eval()


def branch(model: nn.Module, trunk: Weights) -> None:
    """Let a model start from a trunk's weights; what has another shape, a head, starts anew."""
    own = model.state_dict()
    taken = {name: value for name, value in trunk.items() if own[name].shape == value.shape}
    model.load_state_dict(own | taken)


def _optimizer(model: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    plain = [p for p in model.parameters() if p.ndim < 2]
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    groups = [
        {"params": decayed, "weight_decay": schedule.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=schedule.learning_rate)


def _rate(schedule: Schedule, steps: int) -> Any:
    warmup = max(1, round(steps * schedule.warmup_share))

    def share(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

    return share
