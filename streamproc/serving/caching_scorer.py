"""What members said of a chunk, worked out once however often it is asked."""

from __future__ import annotations

from typing import Generic, TypeVar

from streamproc.clock import Timed
from streamproc.messages.lane import Lane
from streamproc.serving.engine import Scorer
from streamproc.serving.inference.batch import ModelInput

ItemT = TypeVar("ItemT", bound=ModelInput)
OutputsT = TypeVar("OutputsT")


class CachingScorer(Generic[ItemT, OutputsT]):
    """A scorer that asks another for each chunk once; for comparing ways to combine its answers.

    It holds every answer: a few numbers a chunk, or a token.
    """

    def __init__(self, scorer: Scorer[ItemT, OutputsT]) -> None:
        self._scorer = scorer
        self._known: dict[tuple[bytes, bytes], Timed[OutputsT]] = {}

    async def submit(self, item: ItemT, tokens: int, lane: Lane, /) -> Timed[OutputsT]:
        key = item.ids.tobytes(), item.type_ids.tobytes()
        if key not in self._known:
            self._known[key] = await self._scorer.submit(item, tokens, lane)
        return self._known[key]

    @property
    def queued_tokens(self) -> int:
        return self._scorer.queued_tokens

    async def close(self) -> None:
        await self._scorer.close()
