"""How memory that was freed goes back to the system, where glibc hands it out.

What is as large as its threshold has pages of its own, which go back when it is freed; what is
smaller lies on a heap, and is kept. Other C libraries keep less, and nothing is done there.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any, Final

_M_MMAP_THRESHOLD: Final = -3
"""Of mallopt(3)."""
_THRESHOLD_BYTES: Final = 256 << 10


def return_large_allocations() -> None:
    """Let allocations from 256 KiB on go back when they are freed; to be called at the start.

    glibc raises its threshold to the size of whatever was freed last, up to 32 MiB, so that texts
    of a megabyte come to lie between what stays: a worker that had read a hundred of them held
    130 MiB of holes, and 45 with a threshold that stays. One that the user has set, by
    `MALLOC_MMAP_THRESHOLD_` or `GLIBC_TUNABLES`, is left as it is.
    """
    is_set = "MALLOC_MMAP_THRESHOLD_" in os.environ
    is_set |= "glibc.malloc.mmap_threshold" in os.environ.get("GLIBC_TUNABLES", "")
    mallopt = _function("mallopt")
    if mallopt is not None and not is_set:
        mallopt(_M_MMAP_THRESHOLD, _THRESHOLD_BYTES)


def malloc_trim() -> None:
    """Let the heap keep nothing of what was freed.

    Blocks of up to 32 MiB may lie there, which is as large as a model's matrices are: a stage that
    is dropped would stay in the process, and the next come on top of it.
    """
    trim = _function("malloc_trim")
    if trim is not None:
        trim(0)


def _function(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
