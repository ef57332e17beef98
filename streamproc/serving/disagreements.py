"""The last requests whose members chose otherwise than all together; nothing of their texts."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

KEPT: Final = 8
"""Of an ensemble: they go with every state of a worker."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What was chosen, as labels or places in a text: never a text itself.

    together: by all members together
    members: by each that has answered, by its name
    """

    together: str
    members: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One request that members did not agree on.

    at_ms: when it was answered, in milliseconds since the epoch
    request_id: as its response has it
    position: of its record, `topic:topic-partition:offset`
    agreement: that of the response, 0 to 1
    """

    at_ms: int
    request_id: str
    position: str
    agreement: float
    choices: Choices


class Disagreements:
    """Those of one ensemble; the oldest go first."""

    def __init__(self) -> None:
        self._last: deque[Disagreement] = deque(maxlen=KEPT)

    def note(self, disagreement: Disagreement) -> None:
        """Take one that has just come."""
        self._last.append(disagreement)

    def last(self) -> list[Disagreement]:
        """Those that are kept, the newest first."""
        return list(reversed(self._last))
