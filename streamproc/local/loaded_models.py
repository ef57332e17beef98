"""The models of this process: loaded when they are first used, once for all who use the same."""

from __future__ import annotations

import os
from threading import Lock

from streamproc.local.blocking_client import BlockingClient
from streamproc.local.open_ensemble import Ensemble, open_ensemble
from streamproc.settings import Settings

_Key = tuple[Settings, str, str]


class LoadedModels:
    """Clients by what they were loaded for; a forked process begins with none."""

    def __init__(self) -> None:
        self._clients: dict[_Key, BlockingClient] = {}
        self._lock = Lock()
        # Those of the process that this one was forked from, whose threads are not here: taking
        # them apart would wait for these for ever.
        self._inherited: list[BlockingClient] = []
        if hasattr(os, "register_at_fork"):  # not on Windows
            os.register_at_fork(after_in_child=self._begin_anew)

    @property
    def loaded(self) -> tuple[_Key, ...]:
        """What is loaded: settings, task and ensemble."""
        return tuple(self._clients)

    def client(self, settings: Settings, task: str, ensemble: Ensemble | None) -> BlockingClient:
        """Who asks that ensemble, loaded unless it is; raises OperatorError."""
        key = (settings, task, str(ensemble))
        with self._lock:
            if key not in self._clients:
                stored = open_ensemble(settings, task, ensemble)
                self._clients[key] = BlockingClient(settings, stored)
            return self._clients[key]

    def close(self, settings: Settings, task: str, ensemble: Ensemble | None) -> None:
        """Let its models go, where they are loaded."""
        with self._lock:
            client = self._clients.pop((settings, task, str(ensemble)), None)
        if client is not None:
            client.close()

    def _begin_anew(self) -> None:
        self._inherited += self._clients.values()
        self._clients, self._lock = {}, Lock()


LOADED = LoadedModels()
"""Of this process: a scorer that is unpickled for every batch may not load models each time."""
