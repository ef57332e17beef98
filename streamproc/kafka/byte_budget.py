"""How many bytes of requests a lane may have in flight before fetching pauses."""

from __future__ import annotations

# What a request costs beside its bytes. More than its task and tickets take, so that small ones
# are bounded by number too, a thousand at the default: enough to group by length, few enough to
# come twice after a crash.
REQUEST_OVERHEAD_BYTES = 64 * 1024
# What an answer costs beside its bytes while it waits.
ANSWER_OVERHEAD_BYTES = 2 * 1024
# How much of the limit is taken in at a time: 32 small requests at the default.
_SHARE = 32


class ByteBudget:
    """Bytes in flight on one lane: full above what it may have now, open again a little below.

    What it may have begins at a small share of the limit and grows by what is finished, to begin
    anew once the lane is idle: nothing is in flight, and what was did not fill it. The other lane's
    requests come behind what is fetched at a time, so a backlog is taken in bit by bit, and
    refilled so. Nothing is refused: what was already fetched is still taken, and passes the bound
    by at most what the client library has buffered.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._allowed_bytes = limit_bytes // _SHARE
        self.in_flight_bytes = 0
        self.is_full = False
        # Since nothing was in flight: where everything is done in one go, the next lot comes when
        # nothing is in flight either, and must not be small again for that.
        self._was_full = False

    def take(self, record_bytes: int) -> bool:
        """Count a request in; True when the budget is full."""
        self.in_flight_bytes += record_bytes + REQUEST_OVERHEAD_BYTES
        if self.in_flight_bytes > self._allowed_bytes:
            self.is_full = self._was_full = True
        return self.is_full

    def give_back(self, record_bytes: int) -> bool:
        """Count a request out; True when this reopened a full budget."""
        done_bytes = record_bytes + REQUEST_OVERHEAD_BYTES
        self._allowed_bytes = min(self._limit_bytes, self._allowed_bytes + done_bytes)
        return self._less(done_bytes)

    def keep(self, answer_bytes: int) -> bool:
        """Count an answer in that can't be stored yet; True when the budget is full."""
        self.in_flight_bytes += answer_bytes + ANSWER_OVERHEAD_BYTES
        if self.in_flight_bytes > self._allowed_bytes:
            self.is_full = self._was_full = True
        return self.is_full

    def let_go(self, answer_bytes: int) -> bool:
        """Count such an answer out; True when this reopened a full budget."""
        return self._less(answer_bytes + ANSWER_OVERHEAD_BYTES)

    def _less(self, done_bytes: int) -> bool:
        self.in_flight_bytes -= done_bytes
        open_below = self._allowed_bytes - self._limit_bytes // _SHARE // 2
        reopened = self.is_full and self.in_flight_bytes <= max(0, open_below)
        if reopened:
            self.is_full = False
        if self.in_flight_bytes == 0:
            if not self._was_full:
                self._allowed_bytes = self._limit_bytes // _SHARE
            self._was_full = False
        return reopened
