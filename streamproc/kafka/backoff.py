"""Waiting longer from try to try, up to a bound."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

import structlog

from streamproc.errors import BrokerUnavailable

_log = structlog.get_logger(__name__)


def backoff_s(first_s: float = 0.2, longest_s: float = 5.0) -> Iterator[float]:
    """Seconds to wait before the next try: doubling from `first_s` to `longest_s`, without end."""
    wait_s = first_s
    while True:
        yield wait_s
        wait_s = min(wait_s * 2, longest_s)


async def keep_connecting(
    connect: Callable[[], Awaitable[None]], pause: Callable[[float], Awaitable[bool]]
) -> bool:
    """Try until a broker answers; False: it is to stop before that.

    connect: raises BrokerUnavailable where none does
    pause: waits for so many seconds; whether it is to go on
    """
    for attempt, wait_s in enumerate(backoff_s(0.5), start=1):
        try:
            await connect()
        except BrokerUnavailable as error:
            _log.warning("waiting for Kafka", attempt=attempt, wait_s=wait_s, error=str(error))
        else:
            return True
        if not await pause(wait_s):
            return False
    raise AssertionError("unreachable: waits are without end")
