"""What every fault is."""

from __future__ import annotations

from typing import Protocol

from tests.chaos.place import Place


class Fault(Protocol):
    """name: as the table has it"""

    name: str

    async def act(self, place: Place) -> None:
        """Let it happen; returns once it is over, and all that is needed to recover is there."""
        ...
