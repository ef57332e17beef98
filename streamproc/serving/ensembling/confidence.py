"""Scores of what an ensemble finds, made to be as often right as they say."""

from __future__ import annotations

import math
from dataclasses import dataclass

_SMALLEST = 1e-9


@dataclass(frozen=True, slots=True)
class Confidence:
    """sigmoid(slope * logit(score) + offset): surer or less sure, and always in the same order.

    Source: Platt 1999, "Probabilistic Outputs for Support Vector Machines", over the logit of a
    probability, as Kull and others (2017) have it with both slopes equal.
    """

    slope: float = 1.0
    offset: float = 0.0

    def of(self, score: float) -> float:
        """score: of an entity or an answer; above 1 where it is a sum over windows."""
        if self == IDENTITY:
            return score
        known = min(max(score, _SMALLEST), 1 - _SMALLEST)
        moved = self.slope * math.log(known / (1 - known)) + self.offset
        # Whichever sign, the exponential is at most 1.
        small = math.exp(-abs(moved))
        return 1 / (1 + small) if moved >= 0 else small / (1 + small)


IDENTITY = Confidence()
