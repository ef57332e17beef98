"""How far the workers of a group are with a version that was promoted. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamproc.messages.model_choice import ModelChoice
from streamproc.messages.worker_state import WorkerState


@dataclass(frozen=True, slots=True)
class Rollout:
    """Workers that serve the ensemble, by what has become of the choice.

    serving: have taken it over
    refused: why they have not, by worker
    pinned: the version that their own settings say, by worker
    waiting: have not said anything about it yet
    silent: have said nothing at all for so long that they are taken to be gone
    """

    serving: tuple[str, ...]
    refused: dict[str, str]
    pinned: dict[str, str]
    waiting: tuple[str, ...]
    silent: tuple[str, ...] = ()

    @property
    def is_through(self) -> bool:
        """Nobody is waited for."""
        return not self.waiting


def rollout(states: Sequence[WorkerState], choice: ModelChoice, now_ms: int) -> Rollout:
    """states: the last of each worker of the group"""
    serving, waiting, silent = [], [], []
    refused: dict[str, str] = {}
    pinned: dict[str, str] = {}
    for state in states:
        for one in state.ensembles:
            if one.name != choice.ensemble:
                continue
            if (one.version, one.manifest) == (choice.serves.version, choice.serves.manifest):
                serving.append(state.worker)
            elif state.is_stale(now_ms):
                silent.append(state.worker)
            elif (one.followed_at_ms or 0) < choice.at_ms:
                waiting.append(state.worker)
            elif one.refused is not None:
                refused[state.worker] = one.refused
            else:
                pinned[state.worker] = one.version
    return Rollout(tuple(serving), refused, pinned, tuple(waiting), tuple(silent))
