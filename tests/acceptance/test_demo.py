"""The demo as a user sees it, with an ensemble for every task and with one for a single task."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streamproc.repository.repository import PREFIXES
from streamproc.serving.tasks.catalogue import TASKS
from streamproc.settings import read_settings
from tests.support.command import streamproc
from tests.support.small_ensembles import write_small_ensembles

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """The shipped ensemble of sentiment, and small ones for the other tasks."""
    root = tmp_path / "models"
    write_small_ensembles(root)
    for name in ("sentiment", PREFIXES):
        (root / name).symlink_to(read_settings().models_dir / name)
    return root


def shown_by_demo(models: Path) -> str:
    done = streamproc("demo", settings={"MODELS_DIR": str(models)}, timeout_s=600)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return " ".join(done.stdout.split())


def test_the_demo_shows_every_task_and_a_worker_killed_without_loss(models: Path) -> None:
    shown = shown_by_demo(models)
    assert [task for task in TASKS if f"{task} ──" in shown] == list(TASKS)
    assert re.search(
        r"A long review: ([\d,]+) characters in \d+ overlapping chunks, \1 seen", shown
    )
    assert re.search(r"1962: ([\d,]+) characters in [\d,]+ overlapping chunks, \1 seen", shown)
    assert re.search(r" (\d+) entities, and \1 of them are text\[start:end\]", shown)
    assert "5 questions at once" in shown
    assert "2 paragraphs went in, 2 came out" in shown
    assert "4 prompts in one batch" in shown
    assert "On shop.reviews.enriched.v1, with all of its bytes as they were" in shown
    assert '"price": 1.10' in shown
    assert '"run":{"ok":["mood","entities","german"]' in shown
    assert "not JSON" in shown
    # 300 short reviews and a long one, a text, five questions, a letter, a review to summarise,
    # four prompts and three openings, and a review again behind the poison record.
    assert "317 of 317 answered" in shown
    assert "317 of 317 results are those of before" in shown


@pytest.mark.nightly
def test_the_demo_shows_only_tasks_that_have_an_ensemble(models: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    (few / "entities").symlink_to(models / "entities")
    shown = shown_by_demo(few)
    assert [task for task in TASKS if f"{task} ──" in shown] == ["token-classification"]
    assert "a route ──" not in shown
    assert "2 of 2 answered" in shown
