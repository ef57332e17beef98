"""Which GPU's memory is told, with NVIDIA's libraries played by ones of our own."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from streamproc.serving.inference import device_memory as module
from streamproc.serving.inference.device_memory import DeviceMemory, device_memory
from streamproc.serving.inference.providers import CPU, CUDA, Provider

GIB = 2**30


class Driver:
    """Shows the second of two GPUs alone, as with CUDA_VISIBLE_DEVICES=1."""

    def cuInit(self, _: int) -> int:  # noqa: N802 - NVIDIA's name
        return 0

    def cuDeviceGet(self, device: Any, number: int) -> int:  # noqa: N802
        device._obj.value = 40 + number
        return int(number > 0)

    def cuDeviceGetPCIBusId(self, text: Any, _: int, device: Any) -> int:  # noqa: N802
        text.value = {40: b"0000:BB:00.0"}[device.value]
        return 0


class Management:
    """Knows both GPUs."""

    used = (70 * GIB, 10 * GIB)
    places = (b"0000:AA:00.0", b"0000:BB:00.0")

    def nvmlInit_v2(self) -> int:  # noqa: N802
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, number: int, handle: Any) -> int:  # noqa: N802
        handle._obj.value = 1 + number
        return 0

    def nvmlDeviceGetHandleByPciBusId_v2(self, text: Any, handle: Any) -> int:  # noqa: N802
        handle._obj.value = 1 + self.places.index(text.value)
        return 0

    def nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> int:  # noqa: N802
        memory._obj.total, memory._obj.used = 80 * GIB, self.used[handle.value - 1]
        return 0


@pytest.fixture
def _second_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "cuda_driver", Driver)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Management())


@pytest.mark.usefixtures("_second_of_two")
def test_memory_is_that_of_the_gpu_that_cuda_counts_as_the_first() -> None:
    ask = device_memory(Provider(CUDA, {"device_id": 0}))

    assert ask() == DeviceMemory(10 * GIB, 80 * GIB)


@pytest.mark.usefixtures("_second_of_two")
def test_of_a_gpu_that_is_not_there_nothing_is_told() -> None:
    assert device_memory(Provider(CUDA, {"device_id": 1}))() is None


def test_a_cpu_has_no_memory_of_a_device() -> None:
    assert device_memory(Provider(CPU))() is None
