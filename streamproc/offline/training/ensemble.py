"""From a corpus to an ensemble on disk: partition, train, export, check, describe."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence

from streamproc.errors import TrainingError
from streamproc.offline.training import data
from streamproc.offline.training.devices import process, together
from streamproc.offline.training.events import MemberEvent, MemberFinished, OnEvent, OnMemberEvent
from streamproc.offline.training.plan import TrainingPlan
from streamproc.offline.training.plots import draw
from streamproc.offline.training.publishing import export_ensemble, refuse_existing_version
from streamproc.offline.training.run_folder import SEED_MODEL, RunFolder
from streamproc.offline.training.search import search
from streamproc.offline.training.shared_artifacts import SharedArtifacts
from streamproc.offline.training.training_session import MemberJob, TrainingSession, member_jobs

# Trains some members; returns when all of them are.
TrainAll = Callable[[TrainingPlan, Sequence[MemberJob], OnEvent], None]


def train_here(plan: TrainingPlan, jobs: Sequence[MemberJob], on_event: OnEvent) -> None:
    """Train members in this process, one after another."""
    session = TrainingSession(plan)
    for job in jobs:
        session.train(job, _of_member(job.part, on_event))


def train_ensemble(
    plan: TrainingPlan,
    on_event: OnEvent,
    *,
    train_all: TrainAll = train_here,
    fresh: bool = False,
    export: bool = True,
) -> None:
    """Train one member for each part of the corpus and write the ensemble.

    Members are trained into the run folder, from where they stand in it. Nothing is written into
    the model repository for a member before it has passed its checks, and the manifest comes last.

    train_all: where members are trained
    fresh:     begin anew
    export:    write the ensemble
    Raises TrainingError when the corpus can't be trained on, a check fails, the folder holds a run
    that was started otherwise, or the repository holds members of this version already.
    """
    run = RunFolder(plan.folder)
    if process() != 0:
        together().wait_for_everyone()  # for what members share
        _train(plan, run, train_all, lambda _: None)
        return
    with run.locked():
        run.begin(plan, fresh=fresh)
        if export:  # told before hours of training
            refuse_existing_version(plan, run)
        if not run.shared.is_dir():
            _prepare(plan, run)
        together().wait_for_everyone()
        _train(plan, run, train_all, on_event)
        if export:
            export_ensemble(plan, on_event)


def _prepare(plan: TrainingPlan, run: RunFolder) -> None:
    """Look at the whole corpus once: what parts it has, and what members share."""
    parts: Counter[str] = Counter()
    corpus = data.counted(plan, data.read(plan, plan.corpus), parts)
    shared = plan.recipe.prepare(corpus, plan.config.seed)
    for _ in corpus:  # what is left of it, where words were chosen by other files
        pass
    if plan.config.learn_from == "others" and len(parts) == 1:
        raise TrainingError(
            f"--learn-from others: the corpus has one part, {next(iter(parts))!r}, and nothing "
            "would be left. --partition-by hash:3 cuts it into three."
        )
    for _ in data.read(plan, plan.valid):  # what is wrong with it, before hours of training
        pass
    dataclasses.replace(shared, parts=dict(sorted(parts.items()))).save(run.shared)


def _train(plan: TrainingPlan, run: RunFolder, train_all: TrainAll, on_event: OnEvent) -> None:
    config = plan.config

    def train(some: Sequence[MemberJob]) -> None:
        """Those that have not been yet."""
        left = []
        for job in some:
            if best := run.finished(job.folder):
                on_event(MemberEvent(job.part, MemberFinished(job.part, best, again=True)))
            else:
                left.append(job)
        together().wait_for_everyone()  # or one process might find what another has just finished
        if left:
            train_all(plan, left, on_event)

    if schedule := config.seed_model_schedule:
        train([MemberJob(SEED_MODEL, 0, 0, schedule, SEED_MODEL)])
    jobs = member_jobs(plan, run)
    if config.trials:
        sizes = SharedArtifacts.load(run.shared).parts
        largest = max(jobs, key=lambda job: sizes[job.part])
        found = search(config, run, largest, train, on_event)
        jobs = [dataclasses.replace(job, schedule=found) for job in jobs]
    train(jobs)
    if process() == 0:
        draw(run, config.ensemble, [job.part for job in jobs])


def _of_member(part: str, on_event: OnEvent) -> OnMemberEvent:
    return lambda event: on_event(MemberEvent(part, event))
