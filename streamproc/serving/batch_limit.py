"""The largest batch of a member that there is memory for, as far as is known."""

from __future__ import annotations

from typing import Final

import structlog

TRIED_AGAIN_AFTER: Final = 256
"""Batches near the limit that pass before a larger one is tried: one that fails costs one call."""

_log = structlog.get_logger(__name__)


class BatchLimit:
    """Half of what there was no memory for, and twice as much again after many batches.

    Memory may be short for a while, as where another process has a part of the GPU.
    """

    def __init__(self, member: str) -> None:
        self._member = member
        self._most: int | None = None
        self._passed = 0

    @property
    def is_set(self) -> bool:
        """Whether there ever was too little, and sizes count."""
        return self._most is not None

    def allows(self, size: int) -> bool:
        """Whether a batch of this size is worth a try."""
        return self._most is None or size <= self._most

    def no_memory(self, size: int) -> None:
        """There was none for a batch of this size."""
        self._most, self._passed = size // 2, 0
        _log.warning("no memory for a batch, running smaller ones", member=self._member, size=size)

    def passed(self, size: int) -> None:
        """There was enough for one of this size."""
        if self._most is None or 4 * size <= self._most:
            return
        self._passed += 1
        if self._passed >= TRIED_AGAIN_AFTER:
            self._most, self._passed = 2 * self._most + 1, 0
