"""Whether a GPU is taken where there is a driver for one, and what is said where it can't be."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import onnxruntime as ort
import pytest
from structlog.testing import capture_logs

from streamproc.errors import ModelRefused, SettingsError
from streamproc.serving.inference import providers
from streamproc.serving.inference.providers import CPU, CUDA, Provider, choose_provider
from streamproc.serving.inference.session_factory import open_session
from tests.support.onnx_models import classifier


class Driver:
    """Finds two GPUs."""

    def cuInit(self, _: int) -> int:  # noqa: N802 - NVIDIA's name
        return 0

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = 2
        return 0


class Opened:
    """A session that ONNX Runtime has opened, of these providers."""

    def __init__(self, *in_use: str) -> None:
        self.in_use = in_use

    def __call__(self, *_: Any, **__: Any) -> Opened:
        return self

    def get_providers(self) -> Sequence[str]:
        return self.in_use


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A build with CUDA and a driver; what a session comes to, a test says."""
    monkeypatch.setattr(providers, "cuda_driver", Driver)
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    missing = "Failed to load libcublas.so.13: no such file\n"
    monkeypatch.setattr(ort, "preload_dlls", lambda: sys.stdout.write(missing))
    return monkeypatch


def test_auto_takes_the_cpu_where_the_libraries_of_cuda_are_missing(
    runtime: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime.setattr(ort, "InferenceSession", Opened(CPU))

    with capture_logs() as told:
        chosen = choose_provider("auto")

    assert chosen.name == CPU
    (warning,) = told
    assert "libcublas.so.13" in warning["reason"]
    assert "streamproc[gpu]" in warning["reason"]
    assert not capsys.readouterr().out


def test_cuda_without_its_libraries_is_refused_with_the_one_that_is_missing(
    runtime: pytest.MonkeyPatch,
) -> None:
    runtime.setattr(ort, "InferenceSession", Opened(CPU))

    with pytest.raises(SettingsError, match=r"STREAMPROC_DEVICE=cuda, but .*libcublas\.so\.13"):
        choose_provider("cuda")


def test_auto_takes_the_cpu_where_the_driver_is_too_old_for_the_libraries(
    runtime: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError("CUDA failure 35: the driver is insufficient for the runtime")

    runtime.setattr(ort, "InferenceSession", refuse)

    assert choose_provider("auto").name == CPU
    with pytest.raises(SettingsError, match="CUDA failure 35"):
        choose_provider("cuda")


def test_a_gpu_that_there_is_not_is_refused_by_its_number(runtime: pytest.MonkeyPatch) -> None:
    runtime.setattr(ort, "InferenceSession", Opened(CUDA, CPU))

    assert choose_provider("cuda:1").device == "cuda:1"
    with pytest.raises(SettingsError, match="finds no GPU 2 but 2, counted from 0"):
        choose_provider("cuda:2")


def test_all_gpus_are_taken_and_compute_float32_as_it_is(runtime: pytest.MonkeyPatch) -> None:
    runtime.setattr(ort, "InferenceSession", Opened(CUDA, CPU))

    chosen = choose_provider("auto")

    assert (chosen.name, chosen.devices) == (CUDA, 2)
    assert chosen.of_part(1, 2).options == {**chosen.options, "device_id": 1}
    assert chosen.options["use_tf32"] == 0


def test_the_trial_graph_is_one_that_onnx_runtime_opens() -> None:
    session = ort.InferenceSession(providers._TRIAL_GRAPH, providers=[CPU])

    assert session.get_providers() == [CPU]


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_what_keeps_a_session_from_being_opened_is_told_and_no_other_provider_is_tried(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ModelRefused, match="Unknown Provider Type"):
        open_session("m", classifier(), Provider("UnknownExecutionProvider", {"device_id": 0}))

    assert not capsys.readouterr().out
