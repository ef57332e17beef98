"""Locks between processes, on files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from streamproc.errors import EmbeddedBrokerError

if TYPE_CHECKING:
    from filelock import BaseFileLock


def take(file: Path, timeout_s: float = 0) -> BaseFileLock | None:
    """The lock on a file, for the caller to release; None when others keep it for longer.

    The system frees it when its process dies.
    Raises EmbeddedBrokerError when the extra is not installed.
    """
    try:
        from filelock import FileLock, Timeout  # noqa: PLC0415 - only there with the extra
    except ImportError as error:
        raise EmbeddedBrokerError(
            'the embedded Kafka is an extra that is not installed: pip install "streamproc[broker]"'
        ) from error
    # Not thread-local: a broker may be started by one thread and stopped by another.
    lock = FileLock(file, thread_local=False)
    try:
        lock.acquire(timeout=timeout_s)
    except Timeout:
        return None
    return lock
