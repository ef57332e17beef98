"""What the last bits of a model's outputs depend on, beside its weights and its input."""

from __future__ import annotations

import ctypes
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Final

from streamproc import __version__
from streamproc.serving.inference.providers import CPU, Provider, cuda_driver

_CPU_INFO: Final = Path("/proc/cpuinfo")
# Of a processor's features those by which libraries choose how they compute.
_FEATURES: Final = re.compile(r"(avx|amx|fma|f16c|sse|ssse|asimd|neon|sve|bf16|i8mm)\w*|sme2?")
_NAME_BYTES: Final = 256


def numerics(provider: Provider) -> str:
    """Versions and kind of device: two workers of whom this is equal give the same answers.

    That is an assumption for GPUs, whose answers may also depend on what else is in a batch.
    """
    libraries = ("onnxruntime", "numpy", "tokenizers")
    versions = " ".join(f"{name} {_version(name)}" for name in libraries)
    chip = " ".join(_cpu_features()) if provider.name == CPU else _gpu_name(provider)
    machine = platform.machine()
    return f"streamproc {__version__} {versions} {provider.name} {machine} {chip}"


def _version(name: str) -> str:
    # The build for CUDA is published under another name.
    names = ("onnxruntime-gpu", name) if name == "onnxruntime" else (name,)
    for one in names:
        try:
            return version(one)
        except ModuleNotFoundError:
            continue
    return "unknown"


def _cpu_features() -> list[str]:
    try:
        info = _CPU_INFO.read_text("utf-8", "replace")
    except OSError:
        return [platform.processor()]
    line = re.search(r"^(?:flags|Features)\s*:(.*)$", info, re.MULTILINE)
    words = line[1].split() if line else []
    return sorted({word for word in words if _FEATURES.fullmatch(word)})


def _gpu_name(provider: Provider) -> str:
    """Of the device that models run on, or of the first, where parts are spread over several."""
    driver, device = cuda_driver(), ctypes.c_int()
    name = ctypes.create_string_buffer(_NAME_BYTES)
    number = int(provider.options["device_id"])
    if (
        driver.cuInit(0)
        or driver.cuDeviceGet(ctypes.byref(device), number)
        or driver.cuDeviceGetName(name, _NAME_BYTES, device)
    ):
        return "unknown"
    return name.value.decode("utf-8", "replace")
