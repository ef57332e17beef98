from __future__ import annotations

import dataclasses
import multiprocessing
from pathlib import Path

import pytest

pytest.importorskip("optimum")

from streamproc.errors import TrainingError
from streamproc.offline.training.ensemble import fit_ensemble
from streamproc.offline.training.events import MemberEvent, PartFinished, Progress, Step
from streamproc.offline.training.jobs import Jobs
from streamproc.offline.training.plan import Plan
from streamproc.offline.training.schedule import Schedule
from tests.train.test_ensemble_training import plan as reviews

pytestmark = [pytest.mark.train, pytest.mark.slow]


def small(plan: Plan, work: Path, learning_rate: float = 1e-3) -> Plan:
    schedule = Schedule(2, batch_size=16, learning_rate=learning_rate)
    return dataclasses.replace(plan, work=work, schedule=schedule)


def test_members_trained_side_by_side_are_those_trained_one_after_another(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    plan = reviews(corpus, base, tmp_path)
    together, alone = small(plan, tmp_path / "together"), small(plan, tmp_path / "alone")
    told: list[Progress] = []

    fit_ensemble(together, told.append, train_all=Jobs(2))
    fit_ensemble(alone, lambda _: None)

    for part in ("part-1-of-2", "part-2-of-2"):
        file = f"{part}/model.safetensors"
        assert (together.work / file).read_bytes() == (alone.work / file).read_bytes()
    finished = [one.part for one in told if isinstance(one, MemberEvent) and _is_end(one)]
    assert sorted(finished) == ["part-1-of-2", "part-2-of-2"]


def _is_end(told: MemberEvent) -> bool:
    return isinstance(told.told, PartFinished)


def test_an_error_in_a_member_is_told_and_ends_the_others(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    plan = small(reviews(corpus, base, tmp_path), tmp_path / "run", learning_rate=1e30)

    with pytest.raises(TrainingError, match=r"part-.-of-2: No epoch could be judged.*lower"):
        fit_ensemble(plan, lambda _: None, train_all=Jobs(2))

    assert not multiprocessing.active_children()


def test_a_process_that_is_killed_is_named_and_its_member_goes_on_later(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    plan = small(reviews(corpus, base, tmp_path), tmp_path / "run")

    def kill(told: Progress) -> None:
        if isinstance(told, MemberEvent) and isinstance(told.told, Step) and told.told.epoch == 2:
            for child in multiprocessing.active_children():
                child.kill()

    with pytest.raises(TrainingError, match=r"part-1-of-2: its process ended with SIGKILL"):
        fit_ensemble(plan, kill, train_all=Jobs(1))
    told: list[Progress] = []
    fit_ensemble(plan, told.append, train_all=Jobs(1))

    steps = [
        one.told for one in told if isinstance(one, MemberEvent) and isinstance(one.told, Step)
    ]
    assert steps[0].epoch == 2
