"""How much of a GPU's memory is in use, as NVIDIA's management library tells it."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable
from typing import NamedTuple

from streamproc.serving.inference.providers import CUDA, Provider, cuda_driver

_BUS_ID_BYTES = 32


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
        cuda, nvml = cuda_driver(), management_library()
    except OSError:
        return lambda: None
    device, handle = ctypes.c_int(), ctypes.c_void_p()
    bus_id = ctypes.create_string_buffer(_BUS_ID_BYTES)
    # By its place on the bus: the management library counts all GPUs, CUDA those that
    # CUDA_VISIBLE_DEVICES shows, the fastest first.
    if (
        cuda.cuInit(0)
        or cuda.cuDeviceGet(ctypes.byref(device), int(provider.options["device_id"]))
        or cuda.cuDeviceGetPCIBusId(bus_id, _BUS_ID_BYTES, device)
        or nvml.nvmlInit_v2()
        or nvml.nvmlDeviceGetHandleByPciBusId_v2(bus_id, ctypes.byref(handle))
    ):
        return lambda: None

    def ask() -> DeviceMemory | None:
        memory = _Memory()
        if nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)):
            return None
        return DeviceMemory(memory.used, memory.total)

    return ask


def management_library() -> ctypes.CDLL:
    """NVIDIA's management library; raises OSError where there is none."""
    return ctypes.CDLL(ctypes.util.find_library("nvidia-ml") or "libnvidia-ml.so.1")
