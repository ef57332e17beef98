"""Events of one key leave a route in the order in which they came to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from streamproc.messages.record import Record


@dataclass(slots=True, eq=False)
class PlaceInLine:
    """An event's place in a line of those of its key.

    before: who is still waited for, if anybody
    """

    before: PlaceInLine | None = None
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def turn(self) -> None:
        """Returns once all that were in the line before have left it."""
        while self.before is not None:
            await self.before.left.wait()
            # One that left without waiting leaves those before it to be waited for.
            self.before = self.before.before


class KeyOrder:
    """The events under way, in a line for each key of each topic-partition.

    They are answered at the same time all the same: only what is published waits. Events without
    a key are in no line.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[str, int, bytes], PlaceInLine] = {}

    @contextmanager
    def place(self, record: Record) -> Iterator[PlaceInLine]:
        """A place at the end of the event's line, for as long as it is under way."""
        if record.key is None:
            yield PlaceInLine()
            return
        line = record.topic, record.topic_partition, record.key
        own = self._last[line] = PlaceInLine(self._last.get(line))
        try:
            yield own
        finally:
            own.left.set()
            if self._last[line] is own:
                self._step_back(line, own)

    def _step_back(self, line: tuple[str, int, bytes], last: PlaceInLine) -> None:
        before = last.before
        while before is not None and before.left.is_set():
            before = before.before
        if before is None:
            del self._last[line]
        else:
            self._last[line] = before
