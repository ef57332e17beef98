"""What a run of chaos is to do, and what came of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.support.topics import Position
from tests.support.verifier import Verdict, totals


@dataclass(frozen=True, slots=True)
class Plan:
    """requests: of all tasks together
    kills: SIGKILLs; terms: SIGTERMs; pauses: SIGSTOPs for longer than a session, then SIGCONTs;
        each only once answers have come since the one before
    is_once: exactly_once is what is tried: nothing may be there twice, and a worker may end by
        itself once another has taken over
    """

    requests: int
    workers: int
    kills: int
    terms: int
    seed: int
    pauses: int = 0
    is_once: bool = False

    @property
    def settings(self) -> dict[str, str]:
        """What workers are to be told, by name without prefix."""
        return {"THREADS": "1", **({"DELIVERY": "exactly_once"} if self.is_once else {})}

    @property
    def share(self) -> int:
        """Requests that each act unlocks: the workers can't be through before all acts are."""
        return max(1, self.requests // (self.kills + self.terms + self.pauses + 1))


@dataclass(slots=True)
class Report:
    """What was done, and what came of it.

    too_early:     requests found below a committed offset without a response, over all checks
    drained_exits: exit codes after SIGTERM; all 0 when workers drain in order
    own_ends:      times that a worker ended by itself, as another had taken over
    is_once:       nothing may be there twice
    twice:         requests that were answered more than once, by cause
    verdicts:      by request topic
    """

    seconds: float = 0.0
    kills: int = 0
    terms: int = 0
    pauses: int = 0
    own_ends: int = 0
    is_once: bool = False
    twice: dict[str, int] = field(default_factory=dict)
    checks: int = 0
    too_early: list[Position] = field(default_factory=list)
    drained_exits: list[int] = field(default_factory=list)
    verdicts: dict[str, Verdict] = field(default_factory=dict)

    def table(self) -> dict[str, Any]:
        """All of it as figures, and those of each request topic."""
        too_early = Counter(topic for topic, _, _ in self.too_early)
        return {
            **totals(self.verdicts.values()),
            "committed_too_early": len(self.too_early),
            "checks": self.checks,
            "kills": self.kills,
            "terms": self.terms,
            "pauses": self.pauses,
            "ended_by_themselves": self.own_ends,
            "twice_by_cause": self.twice,
            "exits_after_sigterm": self.drained_exits,
            "seconds": round(self.seconds, 1),
            "topics": {
                topic: {**verdict.counts(), "committed_too_early": too_early[topic]}
                for topic, verdict in self.verdicts.items()
            },
        }

    @property
    def good(self) -> bool:
        """Nothing lost, nothing wrong, nothing committed too early, every SIGTERM drained."""
        return (
            bool(self.verdicts)
            and all(verdict.good for verdict in self.verdicts.values())
            and not (self.is_once and any(one.duplicates for one in self.verdicts.values()))
            and not self.too_early
            and not any(self.drained_exits)
        )
