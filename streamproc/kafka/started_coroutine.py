"""Making a coroutine's first step at once: one that never waits then needs no task of its own."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any


async def rest_of(begun: Coroutine[Any, Any, Any], waiting_for: Any) -> Any:
    """The rest of a coroutine whose first step has been made and told what it waits for.

    Not for one that has asked for the current task in that step, as `asyncio.timeout` does.
    """
    # A generator by itself is no `Awaitable`, which Faust asks before it waits for anything.
    return await _steps(begun, waiting_for)


@coroutine
def _steps(begun: Coroutine[Any, Any, Any], waiting_for: Any) -> Generator[Any, Any, Any]:
    while True:
        thrown: BaseException | None = None
        sent = None
        try:
            sent = yield waiting_for
        except BaseException as error:  # noqa: BLE001 - the coroutine's to handle
            thrown = error
        try:
            waiting_for = begun.send(sent) if thrown is None else begun.throw(thrown)
        except StopIteration as ended:
            return ended.value
