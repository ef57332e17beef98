"""A request and what came back for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its response, as a client sees them.

    took_s: from sending the one to hearing the other
    """

    task: str
    request: Body
    response: Mapping[str, Any]
    took_s: float

    @property
    def result(self) -> Body:
        """The answer itself."""
        return dict(self.response["result"])

    @property
    def coverage(self) -> Body:
        """How much of the text was read."""
        return dict(self.response["coverage"])


def together_s(exchanges: Iterable[Exchange]) -> float:
    """How long requests that were sent at once took until the last was answered."""
    return max(exchange.took_s for exchange in exchanges)
