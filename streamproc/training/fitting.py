"""Fitting one member: a generator of step and epoch records; showing them is the caller's job."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import nn

from streamproc.training.examples import Batch, Example, batches, draw, windows
from streamproc.training.scoring import RunBatch, WindowSize, accuracy, log_loss, score


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast a member learns.

    epochs:              at most so many passes over its records
    patience:            epochs without better validation accuracy after which it has converged
    windows_per_example: a long text gives at most so many windows an epoch, drawn anew each time
    """

    epochs: int = 8
    patience: int = 2
    batch_size: int = 32
    learning_rate: float = 2e-4
    warmup_share: float = 0.1
    weight_decay: float = 0.01
    max_tokens: int = 128
    windows_per_example: int = 2


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
    """One pass over the records, and what it has brought on the validation texts.

    converged: no further epoch follows
    """

    epoch: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    best: bool
    converged: bool


def torch_runner(model: nn.Module) -> RunBatch:
    """Answers batches with the logits of a torch model, without dropout."""

    def run(batch: Batch) -> NDArray[np.float32]:
        model.eval()
        with torch.inference_mode():
            logits = model(**_inputs(batch)).logits
        return np.asarray(logits.numpy(), dtype=np.float32)

    return run


def fit(
    model: nn.Module,
    train: Sequence[Example],
    valid: Sequence[Example],
    tokenizer: Tokenizer,
    schedule: Schedule,
    size: WindowSize,
    seed: int,
) -> Iterator[Step | Epoch]:
    """Train the model in place until validation accuracy stops rising, then keep its best epoch.

    Yields a Step a batch and an Epoch a pass. The same seed, data and number of threads give the
    same weights. The learning rate warms up, then falls along a cosine to zero at the last epoch.
    """
    torch.manual_seed(seed)
    order = random.Random(seed)  # noqa: S311  # an order to be repeated, not a secret
    padding = tokenizer.token_to_id("[PAD]")
    cut = windows(train, tokenizer, schedule.max_tokens)
    labels = max(example.label for example in (*train, *valid)) + 1
    drawn = len(draw(cut, schedule.windows_per_example, random.Random(0)))  # noqa: S311
    per_epoch = math.ceil(drawn / schedule.batch_size)
    steps = per_epoch * schedule.epochs
    optimizer = _optimizer(model, schedule)
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, _rate(schedule, steps))

    best: tuple[float, float] = (-1.0, 0.0)
    best_weights: dict[str, Any] = {}
    since_best, step = 0, 0
    for epoch in range(1, schedule.epochs + 1):
        losses: list[float] = []
        chosen = draw(cut, schedule.windows_per_example, order)
        for batch in batches(chosen, schedule.batch_size, padding, order):
            model.train()
            loss = nn.functional.cross_entropy(
                model(**_inputs(batch)).logits, torch.from_numpy(batch.labels)
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            rates.step()
            step += 1
            losses.append(loss.item())
            yield Step(step, steps, epoch, losses[-1], rates.get_last_lr()[0])

        scores = score(torch_runner(model), valid, tokenizer, size, labels)
        reached = (accuracy(scores, valid), -log_loss(scores, valid))
        improved = reached > best
        if improved:
            best, best_weights, since_best = reached, copy.deepcopy(model.state_dict()), 0
        else:
            since_best += 1
        converged = since_best >= schedule.patience or epoch == schedule.epochs
        yield Epoch(epoch, float(np.mean(losses)), -reached[1], reached[0], improved, converged)
        if converged:
            break
    model.load_state_dict(best_weights)
    model.eval()


def _inputs(batch: Batch) -> dict[str, torch.Tensor]:
    return {
        "input_ids": torch.from_numpy(batch.input_ids),
        "attention_mask": torch.from_numpy(batch.attention_mask),
    }


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
