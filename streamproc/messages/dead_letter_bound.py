"""How many requests a worker may turn into dead letters by its own fault before it stops.

Were there none, a bug or a model that is too slow for everything would empty a topic into dead
letters, and every sender would be told of a failure that another worker, or the next version,
would not have had. What is invalid, and what a model fails on while others succeed, counts neither
for nor against: a stream of nothing else never stops a worker.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from typing import Final, Literal

import structlog

from streamproc.errors import TooManyFailed
from streamproc.metrics import Metrics

Fault = Literal["late", "bug"]
"""What a request failed by: a member late for it again and again, or an error of our own code."""

_TITLES: Final[dict[Fault, str]] = {"late": "members too late", "bug": "internal errors"}

log = structlog.get_logger(__name__)


class DeadLetterBound:
    """Lets a burst of such failures pass, and then no more than a share of what is answered.

    Of the last `window` requests that were answered or failed so, `burst` may have failed; the next
    one is held, and so is every one after it: this worker has to end.
    """

    def __init__(self, burst: int, ratio: float, metrics: Metrics) -> None:
        """burst: 0: no bound; ratio: above 0, at most 1"""
        self._burst = burst
        self.window = math.ceil((burst + 1) / ratio)
        self._recent: deque[Fault | None] = deque(maxlen=self.window)
        self._counters = {fault: metrics.worker_failures.labels(fault) for fault in _TITLES}
        self._held = metrics.worker_failures.labels("held")
        self._reached: str | None = None

    def answered(self) -> None:
        """A request has its answer."""
        self._recent.append(None)

    def failed(self, fault: Fault) -> None:
        """A request is about to become a dead letter; raises TooManyFailed where it may not."""
        if self._reached is None:
            self._recent.append(fault)
            by_fault = Counter(one for one in self._recent if one is not None)
            if not self._burst or by_fault.total() <= self._burst:
                self._counters[fault].inc()
                return
            self._reached = self._said(by_fault)
            log.error("too many requests failed by the worker's own fault", reason=self._reached)
        self._held.inc()
        raise TooManyFailed(self._reached)

    def _said(self, by_fault: Counter[Fault]) -> str:
        kinds = ", ".join(f"{_TITLES[fault]}: {count}" for fault, count in by_fault.most_common())
        return (
            f"{by_fault.total()} of the last {len(self._recent)} requests failed by no fault of "
            f"their own ({kinds}), so the worker itself is taken to be at fault and ends; what "
            "failed last is not committed. The log says what failed: mend it and start the worker "
            "again (STREAMPROC_DEAD_LETTER_BURST=0 sets no bound)"
        )
