"""How much each caller may ask in a minute: requests, and characters of their bodies."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from streamproc.clock import Clock
from streamproc.web.gateway.problems import GatewayProblem

MAX_CALLERS: Final = 10_000
"""Callers that are remembered; the one that was away for longest begins anew."""
_MINUTE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose a request is; limits are for a minute, and 0 is none."""

    name: str = ""
    requests_per_minute: int = 0
    characters_per_minute: int = 0


@dataclass(slots=True)
class _Bucket:
    """What is left; it may be owed, so that one large request waits for none that is larger.

    left: at `at_s`; refilled to `per_minute` within a minute
    """

    per_minute: int
    left: float
    at_s: float

    def owed_for_s(self, now_s: float) -> float:
        """Seconds until something is left; 0 where it is."""
        if self.per_minute == 0:
            return 0.0
        filled = self.left + (now_s - self.at_s) * self.per_minute / _MINUTE_S
        self.left, self.at_s = min(float(self.per_minute), filled), now_s
        return 0.0 if self.left >= 1 else (1 - self.left) * _MINUTE_S / self.per_minute


class RateLimits:
    """Token buckets, in this gateway alone: two gateways let through twice as much."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[_Bucket, _Bucket]] = OrderedDict()

    def take(self, caller: Caller, bodies: Sequence[bytes]) -> None:
        """Count requests; raises GatewayProblem where the caller has used its minute up."""
        if not caller.requests_per_minute and not caller.characters_per_minute:
            return
        now_s = self._clock.monotonic_s()
        requests, characters = self._of(caller, now_s)
        wait_s = max(requests.owed_for_s(now_s), characters.owed_for_s(now_s))
        if wait_s:
            raise GatewayProblem(
                "too-many-requests",
                f"at most {_said(caller)} a minute",
                retry_after_s=wait_s + 0.5,
            )
        requests.left -= len(bodies)
        characters.left -= sum(_characters(body) for body in bodies)

    def _of(self, caller: Caller, now_s: float) -> tuple[_Bucket, _Bucket]:
        limits = (caller.requests_per_minute, caller.characters_per_minute)
        known = self._buckets.pop(caller.name, None)
        if known is None or tuple(bucket.per_minute for bucket in known) != limits:
            requests, characters = (_Bucket(limit, float(limit), now_s) for limit in limits)
            known = requests, characters
        self._buckets[caller.name] = known
        if len(self._buckets) > MAX_CALLERS:
            self._buckets.popitem(last=False)
        return known


def _characters(body: bytes) -> int:
    return len(body.decode("utf-8", "ignore"))


def _said(caller: Caller) -> str:
    counts = (
        (caller.requests_per_minute, "requests"),
        (caller.characters_per_minute, "characters"),
    )
    return " and ".join(f"{limit} {what}" for limit, what in counts if limit)
