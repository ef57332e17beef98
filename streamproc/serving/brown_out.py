"""Fewer members while requests wait too long, and all of them again once they do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Fewer at once helps at once; more is tried out slowly, as the lag that comes of it is seen late.
FEWER_AFTER_S: Final = 1.0
MORE_AFTER_S: Final = 5.0
# A lag between this part of the objective and the whole of it changes nothing.
_RECOVERED: Final = 0.5


@dataclass(slots=True)
class BrownOut:
    """How many members are left out now, by how long the oldest request of a topic has waited.

    objective_s: the lag from which there are fewer

    Source: Klein et al. 2014, "Brownout: Building More Robust Cloud Applications" (ICSE), whose
    optional content is here the opinion of one more member.
    """

    objective_s: float
    left_out: int = 0
    _changed_at_s: float = float("-inf")

    def observe(self, lag_s: float, most: int, now_s: float) -> int:
        """By how much the number of members that are left out changes: -1, 0 or 1.

        most: how many may be left out
        now_s: of a clock that never goes back
        """
        since_s = now_s - self._changed_at_s
        change = 0
        if self.left_out > most:
            change = most - self.left_out
        elif lag_s > self.objective_s and self.left_out < most and since_s >= FEWER_AFTER_S:
            change = 1
        elif lag_s < _RECOVERED * self.objective_s and self.left_out and since_s >= MORE_AFTER_S:
            change = -1
        if change:
            self.left_out += change
            self._changed_at_s = now_s
        return change
