"""How much memory a process may still take: of the machine, or of its container."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_MACHINE: Final = Path("/proc/meminfo")
_CONTAINER: Final = Path("/sys/fs/cgroup")


def free_memory_bytes(machine: Path = _MACHINE, container: Path = _CONTAINER) -> int | None:
    """Of the machine, or of the container where that has less; None: the system does not say.

    Files that a container has read count as free, as the kernel drops them for whoever needs room.
    """
    free = [one for one in (_of_machine(machine), _of_container(container)) if one is not None]
    return max(0, min(free)) if free else None


def _of_machine(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text("ascii").splitlines()
        return next(int(one.split()[1]) * 1024 for one in lines if one.startswith("MemAvailable"))
    except (OSError, ValueError, IndexError, StopIteration):
        return None


def _of_container(cgroup: Path) -> int | None:
    try:
        limit = (cgroup / "memory.max").read_text("ascii").strip()
        used = int((cgroup / "memory.current").read_text("ascii"))
        if not limit.isdigit():
            return None
        lines = (cgroup / "memory.stat").read_text("ascii").splitlines()
        files = next((int(one.split()[1]) for one in lines if one.startswith("inactive_file ")), 0)
        return int(limit) - used + files
    except (OSError, ValueError, IndexError):
        return None
