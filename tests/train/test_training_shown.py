from __future__ import annotations

import io
from pathlib import Path

import pytest

pytest.importorskip("optimum")

from rich.console import Console

from streamproc.cli.train_progress import Board
from streamproc.offline.training.events import (
    EnsembleWritten,
    Epoch,
    MemberEvent,
    PartFinished,
    PartStarted,
    Progress,
    Step,
    TrialFinished,
    TrunkStarted,
)
from streamproc.offline.training.training_task import Metrics

pytestmark = pytest.mark.train

GOOD = Epoch(2, 0.4, Metrics(0.5, {"f1": 0.8125}), best=True, converged=True)


def said(board: Board, *told: Progress, now: float = 0.0) -> list[str]:
    return [line for one in told for line in board.take(one, now)]


def table(board: Board) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=120).print(board.table())
    return out.getvalue().splitlines()


def test_a_row_says_how_far_a_member_is_and_how_long_it_takes_at_most() -> None:
    board = Board()

    said(board, MemberEvent("books", PartStarted("books", 1, 2, 300, step=10)))
    said(board, MemberEvent("books", Step(11, 100, 1, 0.7, 1e-3)), now=100.0)
    said(board, MemberEvent("books", Step(21, 100, 2, 0.625, 1e-3)), now=110.0)

    row = table(board)[-1].split()
    assert row[:5] == ["books", "training", "2", "21/100", "0.625"]
    assert "1:19" in row


def test_what_has_happened_is_said_in_lines() -> None:
    board = Board()

    lines = said(
        board,
        MemberEvent("_trunk", TrunkStarted(600)),
        MemberEvent("books", PartStarted("books", 1, 2, 300, step=10)),
        MemberEvent("books", GOOD),
        MemberEvent("books", PartFinished("books", GOOD)),
        MemberEvent("films", PartFinished("films", GOOD, again=True)),
        TrialFinished(1, 4, {"learning_rate": 1e-4, "batch": 16}, GOOD),
        EnsembleWritten(Path("models/x/manifest.toml")),
    )

    assert lines == [
        "the whole corpus, for members to branch off: 600 records",
        "books (1 of 2): 300 records, goes on after step 10",
        "books, epoch 2: loss 0.400, validation loss 0.500, f1 0.8125, best so far, converged",
        "films: trained before, f1 0.8125",
        "trial 1 of 4: learning_rate 0.0001, batch 16: f1 0.8125",
        "written: models/x/manifest.toml",
    ]
    assert [row.split()[:2] for row in table(board)[-2:]] == [
        ["books", "trained"],
        ["films", "trained"],
    ]
