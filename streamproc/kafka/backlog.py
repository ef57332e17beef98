"""What waits on topics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backlog:
    """Records that are not finished, and when the oldest of them was made; None: not known."""

    waiting: int = 0
    oldest_at_ms: int | None = None

    def oldest_ms(self, now_ms: int) -> int | None:
        """For how long the oldest of them has been in Kafka; None: none waits, or not known."""
        # Clocks differ: what was sent a moment ago may seem to come from the future.
        return None if self.oldest_at_ms is None else max(0, now_ms - self.oldest_at_ms)

    def __add__(self, other: Backlog) -> Backlog:
        known = [at for at in (self.oldest_at_ms, other.oldest_at_ms) if at is not None]
        return Backlog(self.waiting + other.waiting, min(known, default=None))
