"""How much of a GPU's memory is in use, as NVIDIA's management library tells it."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable
from typing import NamedTuple

from streamproc.serving.inference.providers import CUDA, Provider


class DeviceMemory(NamedTuple):
    """Bytes of a device, whoever uses them."""

    used: int
    total: int


class _Memory(ctypes.Structure):
    _fields_ = (
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


def device_memory(provider: Provider) -> Callable[[], DeviceMemory | None]:
    """What to ask for the memory of the device that models run on; None: not a GPU, or not known.

    Of models that are spread over several devices, it is the first one's.
    """
    if provider.name != CUDA:
        return lambda: None
    try:
        nvml = ctypes.CDLL(ctypes.util.find_library("nvidia-ml") or "libnvidia-ml.so.1")
    except OSError:
        return lambda: None
    handle = ctypes.c_void_p()
    number = int(provider.options["device_id"])
    if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetHandleByIndex_v2(number, ctypes.byref(handle)):
        return lambda: None

    def ask() -> DeviceMemory | None:
        memory = _Memory()
        if nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)):
            return None
        return DeviceMemory(memory.used, memory.total)

    return ask
