from __future__ import annotations

import io
from pathlib import Path

import pytest

pytest.importorskip("optimum")

from rich.console import Console

from streamproc.cli.train_progress import ProgressTable
from streamproc.offline.training.events import (
    EnsembleWritten,
    Epoch,
    Event,
    MemberEvent,
    MemberFinished,
    MemberStarted,
    Step,
    TrialFinished,
)
from streamproc.offline.training.training_task import Metrics

pytestmark = pytest.mark.train

GOOD = Epoch(2, 0.4, Metrics(0.5, {"f1": 0.8125}), best=True, converged=True)


def said(board: ProgressTable, *told: Event, now: float = 0.0) -> list[str]:
    return [line for one in told for line in board.update(one, now)]


def table(board: ProgressTable) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=120).print(board.render())
    return out.getvalue().splitlines()


def test_a_row_says_how_far_a_member_is_and_how_long_it_takes_at_most() -> None:
    board = ProgressTable()

    said(board, MemberEvent("books", MemberStarted("books", 1, 2, 300, step=10)))
    said(board, MemberEvent("books", Step(11, 100, 1, 0.7, 1e-3)), now=100.0)
    said(board, MemberEvent("books", Step(21, 100, 2, 0.625, 1e-3)), now=110.0)

    row = table(board)[-1].split()
    assert row[:5] == ["books", "training", "2", "21/100", "0.625"]
    assert "1:19" in row


def test_what_has_happened_is_said_in_lines() -> None:
    board = ProgressTable()

    lines = said(
        board,
        MemberEvent("_seed_model", MemberStarted("_seed_model", 0, 0, 600, too_long=12)),
        MemberEvent("books", MemberStarted("books", 1, 2, 300, step=10)),
        MemberEvent("books", GOOD),
        MemberEvent("books", MemberFinished("books", GOOD)),
        MemberEvent("films", MemberFinished("films", GOOD, again=True)),
        TrialFinished(1, 4, {"learning_rate": 1e-4, "batch": 16}, GOOD),
        TrialFinished(2, 4, {"learning_rate": 10.0, "batch": 16}, None),
        EnsembleWritten(Path("models/x/manifest.toml")),
    )

    assert lines == [
        "seed model, on the whole corpus: 600 records, 12 of them too long and left out",
        "books (1 of 2): 300 records, resumes after step 10",
        "books, epoch 2: loss 0.400, validation loss 0.500, f1 0.8125, best so far, converged",
        "films: trained before, f1 0.8125",
        "trial 1 of 4: learning_rate 0.0001, batch 16: f1 0.8125",
        "trial 2 of 4: learning_rate 10, batch 16: diverged",
        "written: models/x/manifest.toml",
    ]
    assert [row.split()[:2] for row in table(board)[-2:]] == [
        ["books", "trained"],
        ["films", "trained"],
    ]


def test_a_member_that_is_trained_again_by_another_trial_is_timed_anew() -> None:
    board = ProgressTable()

    for now in (100.0, 200.0):
        said(board, MemberEvent("books", MemberStarted("books", 1, 2, 300)), now=now)
        said(board, MemberEvent("books", Step(1, 100, 1, 0.7, 1e-3)), now=now)
        said(board, MemberEvent("books", Step(11, 100, 1, 0.7, 1e-3)), now=now + 10)

    assert "1:29" in table(board)[-1]
