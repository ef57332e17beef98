"""Fitting one member: from where it stands to its best epoch."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, load_model
from torch import nn

from streamproc.errors import TrainingError
from streamproc.offline.training.events import Epoch, OnMemberEvent
from streamproc.offline.training.schedule import Schedule
from streamproc.offline.training.trainer import LessonTrainer
from streamproc.offline.training.training_state import TrainingState
from streamproc.offline.training.training_task import MemberTrainer

# By name, as a model's state_dict has them.
Weights = Mapping[str, torch.Tensor]


class Fit:
    """Trains a lesson's model in place until its judgement stops rising, then keeps its best epoch.

    folder: where checkpoints are kept; training goes on from the last one in it

    The same seed, data, number of threads and of processes give the same weights, however often
    the training was cut short in between.
    """

    def __init__(
        self,
        lesson: MemberTrainer[Any],
        schedule: Schedule,
        seed: int,
        folder: Path,
        tell: OnMemberEvent,
    ) -> None:
        self._lesson, self._folder = lesson, folder
        self._trainer = LessonTrainer(lesson, schedule, seed, folder, tell)
        self._checkpoint = self._trainer.checkpoint

    @property
    def step(self) -> int:
        """From which step it goes on; 0 at the beginning."""
        return int(self._checkpoint.name.rpartition("-")[2]) if self._checkpoint else 0

    def run(self) -> Epoch:
        """Train to the end; returns the best epoch, whose weights the model then has."""
        trainer, checkpoint = self._trainer, self._checkpoint
        standing = TrainingState.load(checkpoint) if checkpoint else None
        if not standing or not standing.ended:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            standing = trainer.standing
        if standing.best is None:
            raise TrainingError(
                "No epoch could be judged, its loss is no number: lower --learning-rate."
            )
        trainer.accelerator.wait_for_everyone()
        load_model(self._lesson.model, str(trainer.best))
        trainer.accelerator.wait_for_everyone()  # before the first process forgets it
        self._lesson.model.eval()
        return standing.best

    def forget(self) -> None:
        """Remove checkpoints, when the member is kept in another form."""
        shutil.rmtree(self._folder, ignore_errors=True)


def branch(model: nn.Module, trunk: Weights) -> None:
    """Let a model start from a trunk's weights; what has another shape, a head, starts anew."""
    own = model.state_dict()
    taken = {name: value for name, value in trunk.items() if own[name].shape == value.shape}
    # Not strict: of weights with two names the trunk, read from its file, has one.
    model.load_state_dict(taken, strict=False)


def trained_weights(folder: Path) -> Weights:
    """The weights of a member that was saved."""
    weights: Weights = load_file(str(folder / "model.safetensors"))
    return weights
