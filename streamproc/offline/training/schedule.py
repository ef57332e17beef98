"""How long and how fast a member learns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """The learning rate warms up, then falls along a cosine to zero at the last epoch.

    epochs:           at most so many passes over a member's records
    patience:         epochs without a better judgement after which it has converged
    batch_size:       of each process, where several train one member
    checkpoint_steps: within an epoch, after how many steps one is kept
    """

    epochs: int = 8
    patience: int = 2
    batch_size: int = 32
    learning_rate: float = 2e-4
    warmup_share: float = 0.1
    weight_decay: float = 0.01
    checkpoint_steps: int = 500
