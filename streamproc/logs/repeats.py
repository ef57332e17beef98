"""Messages that a library repeats are logged once in five minutes."""

from __future__ import annotations

import logging
from typing import Final

from streamproc.logs.redaction import without_values

WINDOW_S: Final = 300.0
# How many different messages are remembered; beyond it the oldest is forgotten.
_MAX_MESSAGES: Final = 1000


class RepeatsFilter(logging.Filter):
    """Drops repetitions within five minutes; the next one logged says how many were dropped.

    Kafka's clients log every attempt, and they retry as fast as they can.
    """

    def __init__(self) -> None:
        super().__init__()
        self._logged: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, original: logging.LogRecord) -> bool:
        """Whether the record is to be written, by the time that it carries."""
        record = without_values(original)
        try:
            key = (record.name, record.getMessage())
        except (TypeError, ValueError):
            return True  # the handler reports that it can't be formatted
        logged_at_s, dropped = self._logged.get(key, (record.created - WINDOW_S, 0))
        if record.created - logged_at_s < WINDOW_S:
            self._logged[key] = (logged_at_s, dropped + 1)
            return False
        self._logged.pop(key, None)
        self._logged[key] = (record.created, 0)
        if len(self._logged) > _MAX_MESSAGES:
            del self._logged[next(iter(self._logged))]
        if dropped:
            original.msg, original.args = f"{key[1]} (repeated {dropped} times since)", ()
        return True
