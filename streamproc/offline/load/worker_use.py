"""CPU and memory of every worker, by what they say of themselves on the topic of states."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from streamproc.errors import OperatorError
from streamproc.kafka.background import ended
from streamproc.kafka.topic_follower import follow_topic
from streamproc.kafka.topics import load_topics
from streamproc.messages.worker_state import WorkerState, read_state
from streamproc.settings import Settings

# States older than the run are of no use but for the first difference.
_KEPT_STATES: Final = 100_000


@dataclass(frozen=True, slots=True)
class WorkerUse:
    """What one worker used within a step.

    cpu: of one core, so that 2 are two cores; None: it said too little within the step
    resident_bytes: the most that it said
    device_used_bytes: the same of its GPU, whoever uses it; None: there is none
    """

    worker: str
    cpu: float | None
    resident_bytes: int | None
    device_used_bytes: int | None


class WorkerStates:
    """Follows the states of a group's workers; an asynchronous context manager.

    reason: why there is nothing to be seen; "": there is, or may be
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = load_topics(settings.topics_dir).state_topic()
        self._states: list[WorkerState] = []
        self._following: asyncio.Task[None] | None = None
        self.reason = ""

    async def __aenter__(self) -> Self:
        self._following = asyncio.create_task(self._follow())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._following is not None:
            await ended(self._following)

    def within(self, begin_ms: int, end_ms: int) -> list[WorkerUse]:
        """What each worker used between two moments, in milliseconds since the epoch."""
        return uses_within(self._states, begin_ms, end_ms)

    async def _follow(self) -> None:
        if self._topic is None:
            self.reason = f"no topic of kind state is described in {self._settings.topics_dir}"
            return
        try:
            async with aclosing(follow_topic(self._settings, self._topic)) as followed:
                async for records, _ in followed:
                    found = (read_state(record.value) for record in records if record.value)
                    group = self._settings.group_id
                    self._states += [one for one in found if one and one.group == group]
                    del self._states[:-_KEPT_STATES]
        except OperatorError as error:
            self.reason = str(error)


def uses_within(states: Iterable[WorkerState], begin_ms: int, end_ms: int) -> list[WorkerUse]:
    """What each worker used between two moments, by its id.

    CPU is the difference of the last state and the first within them: what a state says of the
    minute before it would be of other steps too.
    """
    of: dict[str, list[WorkerState]] = {}
    for state in states:
        if begin_ms <= state.at_ms <= end_ms:
            of.setdefault(state.worker, []).append(state)
    return [_use(worker, said) for worker, said in sorted(of.items())]


def _use(worker: str, said: Sequence[WorkerState]) -> WorkerUse:
    said = sorted(said, key=lambda state: state.at_ms)
    first, last = said[0], said[-1]
    before_s, after_s = first.machine.cpu_seconds, last.machine.cpu_seconds
    apart_s = (last.at_ms - first.at_ms) / 1000
    known = before_s is not None and after_s is not None and apart_s > 0
    resident = [one.machine.resident_bytes for one in said if one.machine.resident_bytes]
    device = [one.machine.device_used_bytes for one in said if one.machine.device_used_bytes]
    return WorkerUse(
        worker,
        round((after_s - before_s) / apart_s, 3) if known else None,  # type: ignore[operator]
        max(resident, default=None),
        max(device, default=None),
    )
