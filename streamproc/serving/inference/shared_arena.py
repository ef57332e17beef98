"""The memory that all models of a process compute in."""

from __future__ import annotations

from functools import cache
from threading import Lock

import onnxruntime as ort

_registering = Lock()


def share_arena(options: ort.SessionOptions) -> None:
    """Let a session on the CPU compute in the process's arena instead of one of its own.

    An arena keeps what its largest batch took. One for each of many small members keeps that many
    times over, though only as many compute at a time as there are threads.
    """
    with _registering:
        _register_arena()
    options.add_session_config_entry("session.use_env_allocators", "1")


@cache
def _register_arena() -> None:
    """Once a process: ONNX Runtime's environment is the process's, and takes one."""
    memory = ort.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    # As a session's own: no bound, blocks of the next power of two.
    defaults = {"max_mem": 0, "arena_extend_strategy": 0}
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg(defaults))
