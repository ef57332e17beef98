"""Whether there is memory for one more version beside the one that serves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from streamproc.errors import ModelRefused
from streamproc.repository.manifest import Precision
from streamproc.repository.repository import StoredEnsemble
from streamproc.serving.inference.device_memory import DeviceMemory
from streamproc.settings.sizes import MIB

SPARE_BYTES: Final = 64 * MIB
"""What stays free for requests, and for what takes memory beside weights: tokenizer, arenas."""
EXPANSION: Final[Mapping[Precision, int]] = {"fp32": 1, "fp16": 2, "int8": 4, "int8-weights": 4}
"""What weights may grow by when a session on a CPU takes them out of their file. Measured: the
shipped sentiment ensemble, 18 MiB of int8, takes 125 MiB with its tokenizer and arenas."""
COPIES_WHILE_LOADING: Final = 2
"""Of one member at a time: the file's bytes, which are verified, and the graph read from them."""


class NoRoomForModel(ModelRefused):
    """There is not enough memory now; there may be later."""


def loading_bytes(stored: StoredEnsemble) -> tuple[int, int]:
    """Bytes that loading an ensemble takes at its peak, and those of whole models' files.

    Of models in stages nothing is counted: STREAMPROC_MAX_RESIDENT_MB bounds these, of all
    ensembles together.
    Raises OSError where a file is not there.
    """
    manifest, folder = stored.manifest, stored.folder
    sizes: list[tuple[int, int]] = [
        (
            sum((folder / file).stat().st_size for file, _ in member.files),
            EXPANSION[member.precision],
        )
        for member in manifest.members
        if not member.stages
    ]
    if manifest.gate is not None:
        sizes.append(((folder / manifest.gate.file).stat().st_size, 1))
    if manifest.prefix is not None:
        path = stored.prefix_path(manifest.prefix)
        sizes.append((path.stat().st_size, EXPANSION[manifest.prefix.precision]))
    expanded = sum(size * expansion for size, expansion in sizes)
    largest = max((size for size, _ in sizes), default=0)
    return expanded + COPIES_WHILE_LOADING * largest, sum(size for size, _ in sizes)


def require_memory(
    stored: StoredEnsemble,
    free_bytes: Callable[[], int | None],
    device_memory: Callable[[], DeviceMemory | None],
) -> None:
    """Raise NoRoomForModel where it would not fit beside what serves, saying what is missing."""
    peak_bytes, device_bytes = loading_bytes(stored)
    named = f"version {stored.version} of {stored.manifest.name}"
    free = free_bytes()
    if free is not None and free < peak_bytes + SPARE_BYTES:
        lacking = peak_bytes + SPARE_BYTES - free
        raise NoRoomForModel(
            f"{named} takes about {_mib(peak_bytes)} MiB while it is loaded beside the version "
            f"that serves, and {_mib(SPARE_BYTES)} MiB are to stay free, but {free // MIB:,} MiB "
            f"are: {_mib(lacking)} MiB are missing; give the worker more memory, or start it "
            "again, when it loads this version alone"
        )
    memory = device_memory()
    if memory is not None and memory.total - memory.used < device_bytes:
        lacking = device_bytes - (memory.total - memory.used)
        raise NoRoomForModel(
            f"{named} takes at least {_mib(device_bytes)} MiB of the device's memory, and "
            f"{(memory.total - memory.used) // MIB:,} MiB are free: {_mib(lacking)} MiB are "
            "missing; start the worker again, when it loads this version alone"
        )


def _mib(size_bytes: int) -> str:
    return f"{-(-size_bytes // MIB):,}"
