from __future__ import annotations

import dataclasses
import multiprocessing
from pathlib import Path

import pytest

pytest.importorskip("optimum")

from streamproc.errors import TrainingError
from streamproc.offline.training.ensemble import train_ensemble
from streamproc.offline.training.events import Event, MemberEvent, MemberFinished, Step
from streamproc.offline.training.jobs import Jobs
from streamproc.offline.training.plan import TrainingPlan
from tests.support.training_plans import reviews
from tests.support.trainings import changed

pytestmark = [pytest.mark.train, pytest.mark.slow]


def small(plan: TrainingPlan, work: Path, learning_rate: float = 1e-3) -> TrainingPlan:
    other = changed(plan, epochs=2, patience=2, learning_rate=learning_rate)
    return dataclasses.replace(other, folder=work)


def test_members_trained_side_by_side_are_those_trained_one_after_another(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    plan = reviews(corpus, base, tmp_path)
    together, alone = small(plan, tmp_path / "together"), small(plan, tmp_path / "alone")
    told: list[Event] = []

    train_ensemble(together, told.append, train_all=Jobs(2), export=False)
    train_ensemble(alone, lambda _: None, export=False)

    for part in ("part-1-of-2", "part-2-of-2"):
        file = f"{part}/model.safetensors"
        assert (together.folder / file).read_bytes() == (alone.folder / file).read_bytes()
    finished = [one.part for one in told if isinstance(one, MemberEvent) and _is_end(one)]
    assert sorted(finished) == ["part-1-of-2", "part-2-of-2"]


def _is_end(told: MemberEvent) -> bool:
    return isinstance(told.event, MemberFinished)


def test_an_error_in_a_member_is_told_and_ends_the_others(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    plan = small(reviews(corpus, base, tmp_path), tmp_path / "run", learning_rate=1e30)

    with pytest.raises(TrainingError, match=r"part-.-of-2: No epoch could be judged.*lower"):
        train_ensemble(plan, lambda _: None, train_all=Jobs(2), export=False)

    assert not multiprocessing.active_children()


def test_a_process_that_is_killed_is_named_and_its_member_goes_on_later(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    plan = small(reviews(corpus, base, tmp_path), tmp_path / "run")

    def kill(told: Event) -> None:
        if isinstance(told, MemberEvent) and isinstance(told.event, Step) and told.event.epoch == 2:
            for child in multiprocessing.active_children():
                child.kill()

    with pytest.raises(TrainingError, match=r"part-1-of-2: its process ended with SIGKILL"):
        train_ensemble(plan, kill, train_all=Jobs(1), export=False)
    told: list[Event] = []
    train_ensemble(plan, told.append, train_all=Jobs(1), export=False)

    steps = [
        one.event for one in told if isinstance(one, MemberEvent) and isinstance(one.event, Step)
    ]
    assert steps[0].epoch == 2
