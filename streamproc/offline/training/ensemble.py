"""From a corpus to an ensemble on disk: partition, train, export, check, describe."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Sequence

from streamproc.errors import TrainingError
from streamproc.messages.request import ENSEMBLE_NAME
from streamproc.offline.training import data as material
from streamproc.offline.training.devices import process, together
from streamproc.offline.training.events import MemberEvent, OnEvent, OnMemberEvent, PartFinished
from streamproc.offline.training.plan import Plan
from streamproc.offline.training.plots import draw
from streamproc.offline.training.publishing import export_ensemble
from streamproc.offline.training.run_folder import TRUNK, RunFolder
from streamproc.offline.training.search import search
from streamproc.offline.training.shared_artifacts import SharedArtifacts
from streamproc.offline.training.training_session import MemberJob, TrainingSession, places
from streamproc.repository.manifest import MEMBER_VERSION

# Trains the members at some places; returns when all of them are.
TrainAll = Callable[[Plan, Sequence[MemberJob], OnEvent], None]


def train_ensemble(plan: Plan, tell: OnEvent) -> None:
    """Train one member for each part of the corpus and write the ensemble, telling what happens.

    Nothing is written into `plan.out` for a member before it has passed its checks, and the
    manifest comes last. Raises TrainingError when the corpus can't be trained on or a check fails.
    """
    fit_ensemble(plan, tell)
    export_ensemble(plan, tell)


def train_here(plan: Plan, places: Sequence[MemberJob], tell: OnEvent) -> None:
    """Train members in this process, one after another."""
    desk = TrainingSession(plan)
    for place in places:
        desk.train(place, tell_of(place.part, tell))


def tell_of(part: str, tell: OnEvent) -> OnMemberEvent:
    """Tells what one member's training tells as something of that member."""
    return lambda told: tell(MemberEvent(part, told))


def fit_ensemble(
    plan: Plan, tell: OnEvent, *, train_all: TrainAll = train_here, fresh: bool = False
) -> Sequence[MemberJob]:
    """Train the members into the run folder `plan.work`, from where they stand in it.

    train_all: where members are trained
    fresh:     begin anew
    Raises TrainingError, also when the folder holds a run that was begun otherwise.
    """
    # What the manifest would refuse once all is trained.
    if not re.fullmatch(ENSEMBLE_NAME, plan.ensemble):
        raise TrainingError(
            f"Ensemble {plan.ensemble!r}: a name is at most 64 lower-case letters, digits, '.', "
            "'_' and '-'."
        )
    if not re.fullmatch(MEMBER_VERSION, plan.version):
        raise TrainingError(
            f"--version {plan.version!r}: at most 64 letters, digits, '.', '_' and '-'."
        )
    run = RunFolder(plan.work)
    if process() != 0:
        together().wait_for_everyone()  # for the groundwork
        return _train(plan, run, train_all, lambda _: None)
    with run.held():
        run.begin(plan, fresh=fresh)
        if not run.groundwork.is_dir():
            _prepare(plan, run)
        together().wait_for_everyone()
        return _train(plan, run, train_all, tell)


def _prepare(plan: Plan, run: RunFolder) -> None:
    """Look at the whole corpus once: what parts it has, and what members share."""
    parts: Counter[str] = Counter()
    corpus = material.counted(plan, material.read(plan, plan.corpus), parts)
    groundwork = plan.course.prepare(corpus, plan.seed)
    for _ in corpus:  # what is left of it, where words were chosen by other files
        pass
    for _ in material.read(plan, plan.valid):  # what is wrong with it, before hours of training
        pass
    whole = dataclasses.replace(groundwork, parts=dict(sorted(parts.items())))
    whole.save(run.groundwork)


def _train(plan: Plan, run: RunFolder, train_all: TrainAll, tell: OnEvent) -> Sequence[MemberJob]:
    if plan.trunk:
        _train_left(plan, run, [MemberJob(TRUNK, 0, 0, plan.trunk, TRUNK)], train_all, tell)
    members = places(plan, run)
    if plan.search:
        sizes = SharedArtifacts.load(run.groundwork).parts
        largest = max(members, key=lambda place: sizes[place.part])

        def train_one(place: MemberJob) -> None:
            _train_left(plan, run, [place], train_all, tell)

        found = search(plan.search, run, largest, plan.seed, train_one, tell)
        members = [dataclasses.replace(place, schedule=found) for place in members]
    _train_left(plan, run, members, train_all, tell)
    if process() == 0:
        draw(run, plan.ensemble, [place.part for place in members])
    return members


def _train_left(
    plan: Plan, run: RunFolder, some: Sequence[MemberJob], train_all: TrainAll, tell: OnEvent
) -> None:
    """Train those of some members that have not been yet."""
    left = []
    for place in some:
        if best := run.finished(place.folder):
            tell(MemberEvent(place.part, PartFinished(place.part, best, again=True)))
        else:
            left.append(place)
    together().wait_for_everyone()  # or one process might find what another has just finished
    if left:
        train_all(plan, left, tell)
