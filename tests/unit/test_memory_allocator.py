"""Which allocations glibc gives back when they are freed, each case in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

# A large one that is freed raises the threshold that nobody has set, so that the next one lies on
# the heap.
PROGRAM = """
import ctypes
from streamproc.memory_allocator import return_large_allocations

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "0 1 2 mapped 4 5 6 7 8 9".split()]

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
if {called}:
    return_large_allocations()
libc.free(libc.malloc(8 << 20))
libc.mallinfo2.restype = Info
before = libc.mallinfo2().mapped
libc.malloc(1 << 20)
print(libc.mallinfo2().mapped - before)
"""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or "glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or ""),
    reason="it is glibc's",
)


@pytest.mark.parametrize(
    ("called", "variables", "mapped"),
    [
        (False, {}, 0),
        (True, {}, 1),
        (True, {"MALLOC_MMAP_THRESHOLD_": str(4 << 20)}, 0),
        (True, {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=4194304"}, 0),
    ],
)
def test_large_allocations_have_pages_of_their_own_unless_the_user_has_said_otherwise(
    called: bool, variables: Mapping[str, str], mapped: int
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("{called}", str(called))],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )

    assert int(ended.stdout) == mapped
