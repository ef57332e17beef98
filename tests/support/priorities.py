"""Priorities of threads as a process without privileges has them, whoever runs the tests."""

from __future__ import annotations

import os
import threading

import pytest


class Priorities:
    """The niceness of threads, which may be raised at most, as without CAP_SYS_NICE."""

    def __init__(self, started_with: int, *, may_raise: bool = True) -> None:
        self._started_with = started_with
        self._may_raise = may_raise
        self._of_thread: dict[int, int] = {}

    def take_effect(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Instead of the machine's."""
        monkeypatch.setattr(os, "getpriority", self._get)
        monkeypatch.setattr(os, "setpriority", self._set)

    def own(self) -> int:
        """That of the thread that asks."""
        return self._get(os.PRIO_PROCESS, threading.get_native_id())

    def _get(self, which: int, thread: int) -> int:
        assert which == os.PRIO_PROCESS
        return self._of_thread.get(thread, self._started_with)

    def _set(self, which: int, thread: int, niceness: int) -> None:
        if not self._may_raise or niceness < self._get(which, thread):
            raise PermissionError
        self._of_thread[thread] = niceness
