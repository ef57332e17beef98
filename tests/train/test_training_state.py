from __future__ import annotations

import math
from pathlib import Path

import pytest

pytest.importorskip("torch")

from streamproc.offline.training.training_state import TrainingState
from streamproc.offline.training.training_task import Metrics

pytestmark = pytest.mark.train


def judged(accuracy: float, loss: float = 0.5) -> Metrics:
    return Metrics(loss, {"accuracy": accuracy})


def test_the_best_epoch_is_kept_and_patience_ends_the_training() -> None:
    state = TrainingState()

    said = [
        state.close_epoch(number, judged(accuracy), patience=2, last=9)
        for number, accuracy in enumerate((0.5, 0.7, 0.7, 0.6), start=1)
    ]

    assert [one.best for one in said] == [True, True, False, False]
    assert [one.converged for one in said] == [False, False, False, True]
    assert state.best == said[1]


def test_of_equal_metrics_the_smaller_loss_is_better() -> None:
    state = TrainingState()
    state.close_epoch(1, judged(0.5, loss=0.6), patience=2, last=9)

    assert state.close_epoch(2, judged(0.5, loss=0.5), patience=2, last=9).best


def test_a_loss_that_is_no_number_is_never_the_best() -> None:
    state = TrainingState()

    epoch = state.close_epoch(1, judged(0.9, loss=math.nan), patience=2, last=1)

    assert not epoch.best
    assert state.best is None


def test_training_that_its_last_epoch_ends_has_not_converged() -> None:
    state = TrainingState()

    epoch = state.close_epoch(2, judged(0.9), patience=2, last=2)

    assert (state.ended, epoch.converged) == (True, False)


def test_it_comes_back_from_a_checkpoint_to_the_bit(tmp_path: Path) -> None:
    state = TrainingState()
    state.add_loss(0.1)
    state.close_epoch(1, judged(1 / 3, loss=0.1 + 0.2), patience=2, last=9)
    state.add_loss(2 / 3)

    state.save(tmp_path)

    assert TrainingState.load(tmp_path) == state
