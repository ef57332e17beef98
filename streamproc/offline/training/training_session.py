"""Training one member, or the trunk, from a run folder into the run folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model

from streamproc.errors import TrainingError
from streamproc.offline.training import data as material
from streamproc.offline.training.devices import process, together
from streamproc.offline.training.events import (
    OnMemberEvent,
    PartFinished,
    PartStarted,
    TrunkStarted,
)
from streamproc.offline.training.fit import Fit, branch, trained_weights
from streamproc.offline.training.log import Log
from streamproc.offline.training.plan import Plan
from streamproc.offline.training.run_folder import TRUNK, RunFolder
from streamproc.offline.training.schedule import Schedule
from streamproc.offline.training.shared_artifacts import SharedArtifacts
from streamproc.offline.training.training_task import MemberTrainer, TaskSetup
from streamproc.repository.digests import sha256


@dataclass(frozen=True, slots=True)
class MemberJob:
    """A member's place among all, and how it learns.

    number: from 1; 0: it is the trunk
    folder: in the run folder
    """

    part: str
    number: int
    parts: int
    schedule: Schedule
    folder: str


def places(plan: Plan, run: RunFolder) -> Sequence[MemberJob]:
    """The members' places, in the order of their names."""
    parts = SharedArtifacts.load(run.groundwork).parts
    return [
        MemberJob(part, number, len(parts), plan.schedule, part)
        for number, part in enumerate(parts, start=1)
    ]


class TrainingSession:
    """Where the members of one run are trained, one after another."""

    def __init__(self, plan: Plan) -> None:
        torch.set_num_threads(plan.threads)
        self._plan, self._run = plan, RunFolder(plan.work)
        groundwork = SharedArtifacts.load(self._run.groundwork)
        self.classroom: TaskSetup[Any] = plan.course.classroom(groundwork, plan.seed)

    def train(self, place: MemberJob, tell: OnMemberEvent) -> None:
        """Train a member to its end, from where its last checkpoint stands, and keep it.

        Several processes may do this together. Raises TrainingError.
        """
        folder = self._run.member(place.folder)
        if process() != 0:
            self._train(place, folder, lambda _: None)
            return
        with self._run.held(place.folder):
            log = Log(folder)

            def told(one: Any) -> None:
                log.write(one)
                tell(one)

            try:
                self._train(place, folder, told)
            finally:
                log.close()

    def _train(self, place: MemberJob, folder: Path, tell: OnMemberEvent) -> None:
        lesson, records = self.lesson(place)
        if place.number and self._plan.trunk:
            branch(lesson.model, trained_weights(self._run.member(TRUNK)))
        kept = folder / "checkpoints"
        fitting = Fit(lesson, place.schedule, self._seed(place), kept, tell)
        if place.number:
            tell(PartStarted(place.part, place.number, place.parts, records, fitting.step))
        else:
            tell(TrunkStarted(records, fitting.step))
        best = fitting.run()
        if process() == 0:
            lesson.model.save_pretrained(folder)
            self.classroom.tokenizer.save(str(folder / "tokenizer.json"))
            self._run.finish(place.folder, best, sha256(folder / "model.safetensors"))
            tell(PartFinished(place.part, best))
            fitting.forget()
        together().wait_for_everyone()

    def lesson(self, place: MemberJob) -> tuple[MemberTrainer[Any], int]:
        """A member's lesson, its model as it starts out, and the number of its records."""
        plan = self._plan
        if place.number:
            own = material.own(plan, place.part)
            valid = material.held_out(plan, place.part)
        else:
            own, valid = material.whole(plan), material.held_out(plan)
        batch_size, seed = place.schedule.batch_size, self._seed(place)
        return self.classroom.lesson(own, valid, batch_size, seed), len(own)

    def trained(self, place: MemberJob) -> tuple[MemberTrainer[Any], int]:
        """A member's lesson, its model as it was trained; raises TrainingError."""
        lesson, records = self.lesson(place)
        folder = self._run.member(place.folder)
        # What a model does not save (sines of positions), it has by itself.
        unsaved = set(lesson.model._keys_to_ignore_on_save or ())  # noqa: SLF001
        path = folder / "model.safetensors"
        missing, unexpected = load_model(lesson.model, str(path), strict=False)
        if set(missing) - unsaved or unexpected:
            raise TrainingError(f"{path}: not the weights of this model.")
        lesson.model.eval()
        return lesson, records

    def _seed(self, place: MemberJob) -> int:
        # Each part draws its own order; the same part the same one, whatever else is trained.
        return self._plan.seed * 1000 + place.number
