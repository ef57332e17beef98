"""How long answers took, as the figures people ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.traffic import Exchange


@dataclass(frozen=True, slots=True)
class Latencies:
    """Milliseconds from when a request was due to be sent to its answer.

    series_ms: of each request, in the order sent: shows when it was that they waited
    """

    requests: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    series_ms: tuple[float, ...]

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> Latencies:
        """Of at least one."""
        p50, p90, p99 = np.quantile(milliseconds, (0.5, 0.9, 0.99))
        longest, series = max(milliseconds), tuple(round(each, 1) for each in milliseconds)
        return cls(len(milliseconds), float(p50), float(p90), float(p99), longest, series)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def latencies_of(exchange: Exchange, due_s: Sequence[float]) -> Latencies:
    """Of requests by when they were due, not when they were sent.

    A sender that falls behind would otherwise hide the time that its requests waited for it.
    due_s: by number, on the exchange's clock
    """
    return Latencies.of(
        [1000 * (exchange.answered_s[number] - due) for number, due in enumerate(due_s)]
    )
