"""What rates were in the last quarter of an hour, kept in memory and nowhere else."""

from __future__ import annotations

from collections import deque
from typing import Final

from streamproc.status.overview import Overview

STEP_S: Final = 10
LENGTH_S: Final = 900
_STEPS: Final = LENGTH_S // STEP_S


class History:
    """Requests a second of every source, a figure for each ten seconds."""

    def __init__(self) -> None:
        self._rates: dict[str, deque[float]] = {}

    def take(self, overview: Overview) -> None:
        """Note the rates of this moment; to be called every `STEP_S` seconds."""
        for row in overview.sources:
            rates = self._rates.setdefault(history_key(row.name, row.lane), deque(maxlen=_STEPS))
            rates.append(row.per_s)

    def rates(self) -> dict[str, list[float]]:
        """The rates of each source, the latest last."""
        return {key: list(rates) for key, rates in self._rates.items()}


def history_key(name: str, lane: str) -> str:
    """What tells a source's rates apart."""
    return f"{name}/{lane}"
