"""How memory that large texts took goes back to the system, where glibc hands it out.

What is as large as the threshold has pages of its own, which go back when it is freed; what is
smaller lies on a heap, and is kept. glibc raises its threshold to the size of whatever was freed
last, up to 32 MiB, so that texts of a megabyte come to lie between what stays: a worker that had
read a hundred of them held 130 MiB of holes, and 45 with a threshold that stays.
"""

from __future__ import annotations

import os
import sys
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
"""Of mallopt(3)."""
_THRESHOLD_BYTES: Final = 256 << 10


def return_large_allocations() -> None:
    """Let allocations from 256 KiB on go back to the system when they are freed.

    Where the user has set glibc's threshold (`MALLOC_MMAP_THRESHOLD_`, `GLIBC_TUNABLES`) it stays;
    other C libraries have none.
    """
    is_set = "MALLOC_MMAP_THRESHOLD_" in os.environ
    is_set |= "glibc.malloc.mmap_threshold" in os.environ.get("GLIBC_TUNABLES", "")
    if sys.platform != "linux" or is_set:
        return
    import ctypes  # noqa: PLC0415  # of the commands that never end, no other

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _THRESHOLD_BYTES)
