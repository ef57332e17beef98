"""Calls for the same thing at the same time: one is made, and the others wait for what it brings.

Named after the package of Go's that made the pattern known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

ResultT = TypeVar("ResultT")


class SingleFlight(Generic[ResultT]):
    """Makes one call a key at a time, and shares what may be shared."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, asyncio.Future[ResultT | None]] = {}

    async def ask(
        self,
        key: Hashable,
        call: Callable[[], Awaitable[ResultT]],
        may_share: Callable[[ResultT], bool],
    ) -> tuple[ResultT, bool]:
        """The result of a call, and whether it was another's.

        Those who waited for a call that failed, or whose result may not be shared, each make their
        own, at once: as if they had not waited. Where the one who called was cancelled, the next
        of them calls for all.
        Raises whatever the call raises.
        """
        while (flight := self._flights.get(key)) is not None:
            # Unlike `await flight`, this leaves the flight alone when who waits is cancelled.
            await asyncio.wait({flight})
            if flight.cancelled():
                continue
            shared = flight.result()
            if shared is None:
                return await call(), False
            return shared, True
        flight = self._flights[key] = asyncio.get_running_loop().create_future()
        shared = None
        try:
            result = await call()
            shared = result if may_share(result) else None
        except asyncio.CancelledError:
            flight.cancel()
            raise
        finally:
            del self._flights[key]
            if not flight.done():
                flight.set_result(shared)
        return result, False
