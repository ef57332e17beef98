"""The workers of one group, by the last that each said of itself."""

from __future__ import annotations

from streamproc.messages.record import Record
from streamproc.messages.worker_state import WorkerState, read_state


class Fleet:
    """Takes records of the topic of states, in their order."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._states: dict[bytes, WorkerState] = {}
        self._others: dict[bytes, str] = {}

    def take(self, record: Record) -> None:
        """Take one record; what is no state is passed over."""
        key = record.key or b""
        state = read_state(record.value) if record.value is not None else None
        if record.value is None:
            self._states.pop(key, None)
            self._others.pop(key, None)
        elif state is not None and state.group == self._group:
            self._states[key] = state
        elif state is not None:
            self._others[key] = state.group

    def workers(self) -> list[WorkerState]:
        """The last state of each worker that has not stopped, by its id."""
        return sorted(self._states.values(), key=lambda state: state.worker)

    def other_groups(self) -> list[str]:
        """The groups of the other workers."""
        return sorted(set(self._others.values()))
