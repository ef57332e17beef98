"""Choosing an execution provider, and making sure that it is the one really in use."""

from __future__ import annotations

import ctypes
import ctypes.util
import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field

import onnxruntime as ort
import structlog

from streamproc.errors import ModelRefused, SettingsError

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

# What ONNX Runtime is asked to open to tell whether it does: y = x, of one axis.
_TRIAL_GRAPH = (
    b'\x08\x08:9\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01gZ\x10\n\x01x\x12\x0b\n\t\x08\x01\x12\x05'
    b"\n\x03\x12\x01nb\x10\n\x01y\x12\x0b\n\t\x08\x01\x12\x05\n\x03\x12\x01nB\x04\n\x00\x10\x11"
)
# ONNX Runtime's numbers for what its default logger tells: fatal errors alone, and as by default.
_FATAL, _WARNINGS = 4, 2

log = structlog.get_logger(__name__)


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
    missing = missing_for_cuda(int(number or 0))
    if missing is None:
        options = _cuda_options(int(number or 0))
        return Provider(CUDA, options, devices=1 if number else _cuda_devices())
    if device == "auto":
        if _finds_gpu():
            log.warning("the GPU is not used, models run on the CPU", reason=missing)
        return Provider(CPU)
    raise SettingsError(f"STREAMPROC_DEVICE={device}, but {missing}; see to that, or ask for cpu")


def refuse_fallback(in_use: Sequence[str], provider: Provider, member: str) -> None:
    """Raise ModelRefused when a session runs elsewhere than asked, as it silently does."""
    if not in_use or in_use[0] != provider.name:
        raise ModelRefused(
            f"member {member}: {provider.name} was requested, ONNX Runtime uses {in_use}; "
            "its CUDA libraries can't be loaded: install streamproc[gpu], or ask for "
            "STREAMPROC_DEVICE=cpu"
        )


def missing_for_cuda(number: int = 0) -> str | None:
    """What CUDA needs and is not there; None: it can be used.

    number: of the GPU
    """
    if CUDA not in ort.get_available_providers():
        return "this build of ONNX Runtime has no CUDA: the package onnxruntime-gpu has"
    try:
        devices = _cuda_devices()
    except OSError:
        return "there is no NVIDIA driver on this machine"
    if not devices:
        return "the NVIDIA driver finds no GPU"
    if number >= devices:
        return f"the NVIDIA driver finds no GPU {number} but {devices}, counted from 0"
    return _refused_by_runtime(number)


def _refused_by_runtime(number: int) -> str | None:
    """Why ONNX Runtime opens no session on a GPU; None: it does.

    A driver is not enough: the libraries of CUDA may be missing, or be too new for it.
    """
    told = io.StringIO()
    with redirect_stdout(told):  # what it prints there would come between a command's answers
        # The CUDA libraries of the `gpu` extra lie where the system's loader does not look.
        ort.preload_dlls()
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL
    ort.set_default_logger_severity(_FATAL)
    try:
        session = ort.InferenceSession(
            _TRIAL_GRAPH, options, providers=[(CUDA, _cuda_options(number))], enable_fallback=0
        )
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no base
        return f"ONNX Runtime can't use GPU {number}: {error}"
    finally:
        ort.set_default_logger_severity(_WARNINGS)
    if CUDA in session.get_providers():
        return None
    lacking = [line for line in told.getvalue().splitlines() if line.startswith("Failed to load")]
    return " ".join(
        [
            "ONNX Runtime can't load the libraries of CUDA, which streamproc[gpu] brings",
            *(f"({line})" for line in lacking[:1]),
        ]
    )


def _cuda_options(number: int) -> dict[str, int | str]:
    return {
        "device_id": number,
        "arena_extend_strategy": "kSameAsRequested",
        # By default products of float32 are rounded to ten bits there, which torch does not do.
        "use_tf32": 0,
    }


def _finds_gpu() -> bool:
    try:
        return bool(_cuda_devices())
    except OSError:
        return False


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
