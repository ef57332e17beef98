"""Training one member, or the seed model, from a run folder into the run folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, load_model
from torch import nn

from streamproc.errors import TrainingError
from streamproc.offline.training import data
from streamproc.offline.training.devices import process, together
from streamproc.offline.training.events import (
    MemberFinished,
    MemberStarted,
    OnMemberEvent,
    TrainingEvent,
)
from streamproc.offline.training.log import event_log
from streamproc.offline.training.options import Schedule
from streamproc.offline.training.plan import TrainingPlan
from streamproc.offline.training.run_folder import SEED_MODEL, RunFolder
from streamproc.offline.training.shared_artifacts import SharedArtifacts
from streamproc.offline.training.trainer import CheckpointedTrainer
from streamproc.offline.training.training_task import MemberTrainer, TaskSetup
from streamproc.repository.files import sha256

_WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True)
class MemberJob:
    """A member that is to be trained, and how.

    number: among all parts, from 1; 0: it is the seed model
    folder: in the run folder
    """

    part: str
    number: int
    parts: int
    schedule: Schedule
    folder: str


def member_jobs(plan: TrainingPlan, run: RunFolder) -> Sequence[MemberJob]:
    """One for each part, in the order of their names."""
    parts = SharedArtifacts.load(run.shared).parts
    return [
        MemberJob(part, number, len(parts), plan.config, part)
        for number, part in enumerate(parts, start=1)
    ]


class TrainingSession:
    """Where the members of one run are trained, one after another."""

    def __init__(self, plan: TrainingPlan) -> None:
        torch.set_num_threads(plan.config.threads)
        self._plan, self._run = plan, RunFolder(plan.folder)
        shared = SharedArtifacts.load(self._run.shared)
        self.setup: TaskSetup[Any] = plan.recipe.setup(shared, plan.config.seed)

    def train(self, job: MemberJob, on_event: OnMemberEvent) -> None:
        """Train a member to its end, from where its last checkpoint stands, and keep it.

        Several processes may do this together. Raises TrainingError.
        """
        folder = self._run.member(job.folder)
        if process() != 0:
            self._train(job, folder, lambda _: None)
            return
        with self._run.locked(job.folder), event_log(folder) as log:

            def logged(event: TrainingEvent) -> None:
                log(event)
                on_event(event)

            self._train(job, folder, logged)

    def _train(self, job: MemberJob, folder: Path, on_event: OnMemberEvent) -> None:
        member, records = self.member(job)
        if job.number and self._plan.config.seed_model_epochs:
            _branch(member.model, self._run.member(SEED_MODEL) / _WEIGHTS)
        checkpoints = folder / "checkpoints"
        trainer = CheckpointedTrainer(member, job.schedule, self._seed(job), checkpoints, on_event)
        on_event(
            MemberStarted(job.part, job.number, job.parts, records, trainer.step, member.too_long)
        )
        best = trainer.fit()
        if process() == 0:
            member.model.save_pretrained(folder)
            self.setup.tokenizer.save(str(folder / "tokenizer.json"))
            self._run.finish(job.folder, best, sha256(folder / _WEIGHTS))
            on_event(MemberFinished(job.part, best))
            shutil.rmtree(checkpoints, ignore_errors=True)
        together().wait_for_everyone()

    def member(self, job: MemberJob) -> tuple[MemberTrainer[Any], int]:
        """A member, its model as it starts out, and the number of its records."""
        plan = self._plan
        if job.number:
            train = data.of_member(plan, job.part)
            valid = data.validation(plan, job.part)
        else:
            train, valid = data.full_corpus(plan), data.validation(plan)
        return self.setup.new_member(train, valid, job.schedule.batch, self._seed(job)), len(train)

    def trained(self, job: MemberJob) -> tuple[MemberTrainer[Any], int]:
        """A member, its model as it was trained; raises TrainingError."""
        member, records = self.member(job)
        path = self._run.member(job.folder) / _WEIGHTS
        # What a model does not save (sines of positions), it has by itself.
        unsaved = set(member.model._keys_to_ignore_on_save or ())  # noqa: SLF001
        missing, unexpected = load_model(member.model, str(path), strict=False)
        if set(missing) - unsaved or unexpected:
            raise TrainingError(f"{path}: not the weights of this model.")
        member.model.eval()
        return member, records

    def _seed(self, job: MemberJob) -> int:
        # Each part draws its own order; the same part the same one, whatever else is trained.
        # NumPy takes seeds of 32 bits.
        return (self._plan.config.seed * 1000 + job.number) % 2**32


def _branch(model: nn.Module, seed_model: Path) -> None:
    """Let a model start from other weights; what has another shape, a head, starts anew."""
    own, given = model.state_dict(), load_file(str(seed_model))
    taken = {name: value for name, value in given.items() if own[name].shape == value.shape}
    # Not strict: of weights with two names the file has one.
    model.load_state_dict(taken, strict=False)
