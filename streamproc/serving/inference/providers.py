"""Choosing an execution provider, and making sure that it is the one really in use."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Sequence
from dataclasses import dataclass, field

import onnxruntime as ort

from streamproc.errors import ModelRefused, SettingsError

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"


@dataclass(frozen=True, slots=True)
class Provider:
    """An execution provider by ONNX Runtime's name, with its options.

    devices: how many of them, from number 0 on, members and parts of a model are spread over
    """

    name: str
    options: dict[str, int | str] = field(default_factory=dict)
    devices: int = 1

    @property
    def device(self) -> str:
        """cpu, or cuda:N."""
        return "cpu" if self.name == CPU else f"cuda:{self.options['device_id']}"

    @property
    def place(self) -> tuple[str, int]:
        """The device as ONNX Runtime's bindings name it: its kind and number."""
        kind, _, number = self.device.partition(":")
        return kind, int(number or 0)

    def of_part(self, part: int, parts: int) -> Provider:
        """Where one of so many parts runs, the first being 0: neighbours side by side."""
        if self.devices == 1 or parts == 1:
            return self
        device = part * self.devices // parts
        return Provider(self.name, {**self.options, "device_id": device})


def choose_provider(device: str) -> Provider:
    """The provider for `device`; auto takes CUDA where it works.

    Raises SettingsError when CUDA was asked for and can't be had, saying what is missing.
    """
    if device == "cpu":
        return Provider(CPU)
    number = device.partition(":")[2]
    missing = missing_for_cuda()
    if missing is None:
        # The CUDA libraries of the `gpu` extra lie where the system's loader does not look.
        ort.preload_dlls()
        options: dict[str, int | str] = {
            "device_id": int(number or 0),
            "arena_extend_strategy": "kSameAsRequested",
        }
        return Provider(CUDA, options, devices=1 if number else _cuda_devices())
    if device == "auto":
        return Provider(CPU)
    raise SettingsError(f"STREAMPROC_DEVICE={device}, but {missing}; install it, or ask for cpu")


def refuse_fallback(in_use: Sequence[str], provider: Provider, member: str) -> None:
    """Raise ModelRefused when a session runs elsewhere than asked, as it silently does."""
    if not in_use or in_use[0] != provider.name:
        raise ModelRefused(
            f"member {member}: {provider.name} was requested, ONNX Runtime uses {in_use}; "
            "its CUDA libraries can't be loaded: install streamproc[gpu], or ask for "
            "STREAMPROC_DEVICE=cpu"
        )


def missing_for_cuda() -> str | None:
    """What CUDA needs and is not there; None: it can be used."""
    if CUDA not in ort.get_available_providers():
        return "this build of ONNX Runtime has no CUDA: the package onnxruntime-gpu has"
    try:
        if not _cuda_devices():
            return "the NVIDIA driver finds no GPU"
    except OSError:
        return "there is no NVIDIA driver on this machine"
    return None


def _cuda_devices() -> int:
    """How many GPUs the driver finds; raises OSError without a driver."""
    cuda = cuda_driver()
    count = ctypes.c_int()
    if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
        return 0
    return count.value


def cuda_driver() -> ctypes.CDLL:
    """NVIDIA's driver; raises OSError where there is none."""
    driver = ctypes.util.find_library("cuda") or ctypes.util.find_library("nvcuda")
    return ctypes.CDLL(driver or "libcuda.so.1")
