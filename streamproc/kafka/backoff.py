"""Waiting longer from try to try, up to a bound."""

from __future__ import annotations

from collections.abc import Iterator


def backoff_s(first_s: float = 0.2, longest_s: float = 5.0) -> Iterator[float]:
    """Seconds to wait before the next try: doubling from `first_s` to `longest_s`, without end."""
    wait_s = first_s
    while True:
        yield wait_s
        wait_s = min(wait_s * 2, longest_s)
