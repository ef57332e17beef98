"""Memory that was freed, given back to the system."""

from __future__ import annotations

import ctypes
import sys


def malloc_trim() -> None:
    """Let the C library keep nothing of what was freed; where there is no way to, do nothing.

    glibc keeps freed blocks of up to 32 MiB for later, which is as large as a model's matrices
    are: a stage that is dropped would stay in the process, and the next come on top of it.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
