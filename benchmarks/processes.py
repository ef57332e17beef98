"""What the system tells of processes: the CPU time they have used."""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")


def cpu_seconds(pid: int) -> float | None:
    """User and system time of a process, in seconds; None where there is no /proc to tell it."""
    try:
        content = (_PROC / str(pid) / "stat").read_text("utf-8", "replace")
    except OSError:
        return None
    # Its second field is a name in parentheses that may hold anything, spaces too.
    fields = content.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children() -> set[int]:
    """Processes that this one has started and that still run; empty where there is no /proc."""
    found: set[int] = set()
    for path in _PROC.glob("self/task/*/children"):
        try:
            found.update(map(int, path.read_text("ascii").split()))
        except OSError:  # a thread that has just ended
            continue
    return found
