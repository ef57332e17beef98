"""What a library says again and again is said once in a while."""

from __future__ import annotations

import logging
from typing import Final

from streamproc.logs.redaction import without_values

WHILE_S: Final = 300.0
# Of different messages that are remembered; beyond, the oldest is forgotten.
_MOST: Final = 1000


class RepeatsFilter(logging.Filter):
    """Lets a message pass once in five minutes; the next one tells how many were left out.

    Clients of Kafka write a line with every try, and try as fast as they can.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, original: logging.LogRecord) -> bool:
        """Whether it is to be written; it goes by the record's own time."""
        record = without_values(original)
        try:
            key = (record.name, record.getMessage())
        except (TypeError, ValueError):
            return True  # the handler says that it can't be written
        said_at_s, left_out = self._said.get(key, (record.created - WHILE_S, 0))
        if record.created - said_at_s < WHILE_S:
            self._said[key] = (said_at_s, left_out + 1)
            return False
        self._said.pop(key, None)
        self._said[key] = (record.created, 0)
        if len(self._said) > _MOST:
            del self._said[next(iter(self._said))]
        if left_out:
            original.msg, original.args = f"{key[1]} (and {left_out} times more since)", ()
        return True
