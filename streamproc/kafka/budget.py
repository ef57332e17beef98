"""How many bytes of requests a lane may have in flight before fetching pauses."""

from __future__ import annotations

# What a request costs beside its bytes. More than its task and tickets take, so that small ones
# are bounded by number too, a thousand at the default: enough to group by length, few enough to
# come twice after a crash.
REQUEST_OVERHEAD_BYTES = 64 * 1024


class ByteBudget:
    """Bytes in flight on one lane: full above the limit, open again at half of it.

    Nothing is refused: what was already fetched is still taken, so the limit is passed by at
    most what the client library has buffered.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.in_flight_bytes = 0
        self.is_full = False

    def take(self, record_bytes: int) -> bool:
        """Count a request in; True when the budget is full."""
        self.in_flight_bytes += record_bytes + REQUEST_OVERHEAD_BYTES
        if self.in_flight_bytes > self._limit_bytes:
            self.is_full = True
        return self.is_full

    def give_back(self, record_bytes: int) -> bool:
        """Count a request out; True when this reopened a full budget."""
        self.in_flight_bytes -= record_bytes + REQUEST_OVERHEAD_BYTES
        if self.is_full and self.in_flight_bytes <= self._limit_bytes // 2:
            self.is_full = False
            return True
        return False
