"""What members said of a chunk, worked out once however often it is asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Generic, TypeVar

from streamproc.clock import Timed
from streamproc.messages.lane import Lane
from streamproc.serving.engine import Scorer
from streamproc.serving.inference.batch import MemberOutput, ModelInput, Row, SelectedInput
from streamproc.serving.selection import replayed

ItemT = TypeVar("ItemT", bound=ModelInput)


class CachingScorer(Generic[ItemT]):
    """A scorer that asks another for each chunk once, and all of its members; for comparing ways to
    combine or select them.

    It holds every answer: a few numbers a chunk, or a token.
    """

    def __init__(self, scorer: Scorer[ItemT, Row]) -> None:
        self._scorer = scorer
        self._known: dict[tuple[bytes, bytes], Timed[Row]] = {}

    async def submit(
        self, item: ItemT | SelectedInput[ItemT], tokens: int, lane: Lane, /
    ) -> Timed[Row]:
        sequence = item.sequence if isinstance(item, SelectedInput) else item
        key = sequence.ids.tobytes(), sequence.type_ids.tobytes()
        if key not in self._known:
            timed = await self._scorer.submit(sequence, tokens, lane)
            # Not what it ran beside, nor what was worked out of that.
            self._known[key] = replace(timed, result=Row(timed.result))
        known = self._known[key]
        if not isinstance(item, SelectedInput):
            return known
        said = replayed(item.selection, dict(enumerate(one.scores for one in known.result)))
        row = Row(
            one if member in said else MemberOutput(one.member, None)
            for member, one in enumerate(known.result)
        )
        return replace(known, result=row)

    @property
    def queued_tokens(self) -> int:
        return self._scorer.queued_tokens

    async def close(self) -> None:
        await self._scorer.close()
