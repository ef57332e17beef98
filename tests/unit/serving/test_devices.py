"""Where members run, and how many batches are under way there, as far as a CPU can tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamproc.clock import SystemClock
from streamproc.metrics import Metrics
from streamproc.repository.repository import Repository
from streamproc.serving import loading
from streamproc.serving.inference.providers import CPU, CUDA, Provider
from streamproc.serving.inference.session import BackboneSession
from streamproc.serving.tasks.catalogue import scoring_task_named
from streamproc.settings import Settings
from streamproc.worker import models
from tests.support.onnx_models import classifier, write_ensemble
from tests.support.onnx_prefixes import behind_backbone, prefix, write_prefixed_ensemble

TWO_GPUS = Provider(CUDA, {"device_id": 0}, devices=2)


class Opened:
    """Notes where sessions are to run, and opens none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.devices: list[str] = []
        monkeypatch.setattr(loading, "OnnxSession", self._note)

    def _note(self, name: str, model: Any, signature: Any, provider: Provider) -> Any:
        self.devices.append(provider.device)


def test_members_are_spread_over_the_gpus_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ensemble(tmp_path / "tiny", [classifier(seed=seed) for seed in range(4)])
    opened = Opened(monkeypatch)

    stored = Repository(tmp_path).open("tiny")
    loading.load_sessions(stored, scoring_task_named("text-classification"), TWO_GPUS)

    assert opened.devices == ["cuda:0", "cuda:0", "cuda:1", "cuda:1"]


def test_members_behind_shared_layers_run_where_these_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_prefixed_ensemble(tmp_path / "tiny", prefix(), [behind_backbone(), behind_backbone()])
    opened = Opened(monkeypatch)
    on_cpu = BackboneSession(prefix(), Provider(CPU))
    monkeypatch.setattr(loading, "BackboneSession", lambda *_: on_cpu)

    stored = Repository(tmp_path).open("tiny")
    loading.load_sessions(stored, scoring_task_named("text-classification"), TWO_GPUS)

    assert opened.devices == ["cuda:0", "cuda:0"]


@pytest.mark.parametrize(("provider", "slots"), [(TWO_GPUS, 2), (Provider(CPU), 16)])
def test_a_gpu_has_two_batches_under_way_and_a_cpu_one_for_each_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: Provider, slots: int
) -> None:
    monkeypatch.setattr(models, "choose_provider", lambda _: provider)

    loaded = models.Models(Settings(models_dir=tmp_path, threads=16), SystemClock(), Metrics())

    assert loaded._context.limits.slots == slots
    loaded.executor.close()
