"""What the system tells of processes: the CPU time they have used."""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")


def cpu_seconds(pid: int) -> float | None:
    """User and system time of a process, in seconds; None where there is no /proc to tell it."""
    return _seconds(_PROC / str(pid) / "stat")


def main_thread_cpu_seconds(pid: int) -> float | None:
    """The same of its first thread alone, which in a worker runs the event loop."""
    return _seconds(_PROC / str(pid) / "task" / str(pid) / "stat")


def _seconds(path: Path) -> float | None:
    try:
        content = path.read_text("utf-8", "replace")
    except OSError:
        return None
    # The second field is a name in parentheses that may hold anything, spaces too.
    fields = content.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descendants(pid: int) -> set[int]:
    """Processes that a process has started, and those that they have; empty without a /proc."""
    found: set[int] = set()
    for path in _PROC.glob(f"{pid}/task/*/children"):
        try:
            own = set(map(int, path.read_text("ascii").split()))
        except OSError:  # a thread that has just ended
            continue
        found |= own.union(*map(descendants, own))
    return found
