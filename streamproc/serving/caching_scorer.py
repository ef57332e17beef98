"""What members said of a chunk, worked out once however often it is asked."""

from __future__ import annotations

from typing import Any

from streamproc.clock import Timed
from streamproc.messages.lane import Lane
from streamproc.serving.engine import AnyScorer


class CachingScorer:
    """A scorer that asks another for each chunk once; for comparing ways to combine its answers.

    It holds every answer: a few numbers a chunk, or a token.
    """

    def __init__(self, scorer: AnyScorer) -> None:
        self._scorer = scorer
        self._known: dict[tuple[bytes, bytes], Timed[Any]] = {}

    async def submit(self, item: Any, tokens: int, lane: Lane, /) -> Timed[Any]:
        key = item.ids.tobytes(), item.type_ids.tobytes()
        if key not in self._known:
            self._known[key] = await self._scorer.submit(item, tokens, lane)
        return self._known[key]

    @property
    def queued_tokens(self) -> int:
        return self._scorer.queued_tokens
