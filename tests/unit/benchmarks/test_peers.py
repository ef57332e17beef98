"""Peers get the same models and requests as ours, and answer alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.in_process import Ceiling
from benchmarks.measure import BenchmarkFailed
from benchmarks.peers.environments import REQUIREMENTS
from benchmarks.peers.programs import KAFKA_PROGRAMS, MLSERVER, Program
from benchmarks.peers.scorer import Asked, Models, Scorer
from benchmarks.peers.workload import in_one_window, models_of
from benchmarks.texts import read_texts, requested
from benchmarks.workload import build_workload, load_members
from streamproc.repository.repository import Repository
from streamproc.settings import read_settings


async def test_a_peer_answers_as_the_ceiling_does(tmp_path: Path) -> None:
    stored = Repository(read_settings().models_dir).open("sentiment")
    spec, members, _ = load_members(stored, "cpu")
    every = build_workload(requested(read_texts(None), 40), spec, members)
    workload = in_one_window(every)
    assert 0 < len(workload.texts) < len(every.texts)
    expected = (await Ceiling(workload, 1, 512).round()).answers
    models_of(stored).write(tmp_path / "models.json")
    scorer = Scorer(Models.read(tmp_path / "models.json"), 1, spinning=False)
    assert np.abs(scorer.score(workload.texts) - expected).max() < 1e-9
    [answer] = scorer.answer([{"id": "a-1", "text": workload.texts[0]}])
    assert answer["id"] == "a-1"
    assert list(answer["result"]["scores"]) == list(spec.labels)
    assert list(answer["result"]["scores"].values()) == pytest.approx(expected[0].tolist())


def test_an_ensemble_that_peers_would_combine_otherwise_is_refused() -> None:
    stored = Repository(read_settings().models_dir).open("entities")
    with pytest.raises(BenchmarkFailed, match="entities: peers combine"):
        models_of(stored)


def test_a_program_reads_what_it_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = Asked("localhost:1", "in", "out", tmp_path, threads=2, spinning=False, batch=32)
    for name, value in asked.environment().items():
        monkeypatch.setenv(name, value)
    assert Asked.by_environment() == asked


@pytest.mark.parametrize("program", [*KAFKA_PROGRAMS, MLSERVER], ids=lambda each: each.name)
def test_every_peer_is_locked_with_hashes(program: Program) -> None:
    locked = (REQUIREMENTS / f"{program.environment}.txt").read_text("utf-8")
    assert "--hash=sha256:" in locked
    assert "://" not in locked
