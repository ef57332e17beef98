"""How far the workers of a group are with an experiment that was begun or changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamproc.clock import SystemClock
from streamproc.messages.experiment import Experiment
from streamproc.messages.worker_state import WorkerState
from streamproc.settings import Settings
from streamproc.status.feed import StatusFeed


@dataclass(frozen=True, slots=True)
class Participation:
    """Workers that serve the experiment's task, by what has become of it.

    splitting: split requests between all arms
    refused: arms that are not served, and why, by worker; the control arm answers in their place
    waiting: have not said anything about it yet
    """

    splitting: tuple[str, ...]
    refused: dict[str, dict[str, str]]
    waiting: tuple[str, ...]

    def sentences(self) -> list[str]:
        """What is refused, a sentence for each worker and arm."""
        return [
            f"{worker} does not serve {arm}, for which the control arm answers: {reason}"
            for worker, reasons in self.refused.items()
            for arm, reason in reasons.items()
        ]


def participation(
    states: Sequence[WorkerState], experiment: Experiment, now_ms: int
) -> Participation:
    """states: the last of each worker of the group"""
    splitting, waiting = [], []
    refused: dict[str, dict[str, str]] = {}
    for state in states:
        serves = any(one.task == experiment.task for one in state.ensembles)
        if state.is_stale(now_ms) or not serves:
            continue
        found = next((one for one in state.experiments if one.name == experiment.name), None)
        if found is None or found.followed_at_ms < experiment.at_ms:
            waiting.append(state.worker)
        elif found.refused:
            refused[state.worker] = dict(found.refused)
        else:
            splitting.append(state.worker)
    return Participation(tuple(splitting), refused, tuple(waiting))


async def participations(
    settings: Settings, experiments: Sequence[Experiment]
) -> list[Participation]:
    """That of each experiment, by what workers say now; their topic is read once for all."""
    if not experiments:
        return []
    clock = SystemClock()
    async with StatusFeed(settings, clock) as feed:
        return [participation(feed.states(), one, clock.now_ms()) for one in experiments]
