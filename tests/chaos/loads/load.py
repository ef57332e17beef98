"""What every load is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tests.chaos.asked import Source
from tests.support.topics import Sent


class Load(Protocol):
    """sources:  where it is sent
    expendable: one of them whose records a fault may delete; None: none
    a_second:   what two workers on a small machine keep up with
    """

    @property
    def sources(self) -> Sequence[Source]: ...

    @property
    def expendable(self) -> str | None: ...

    @property
    def a_second(self) -> float: ...

    def prepare(self, folder: Path) -> dict[str, str]:
        """Write models and routes; returns the settings that workers find them by."""
        ...

    def record(self, name: str, number: int, topic: str | None) -> Sent:
        """The next record, asked for once each, in the order of numbers.

        name: its id; topic: None: the load's own choice
        """
        ...
