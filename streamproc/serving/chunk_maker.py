"""A job's chunks, made where that keeps nobody waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sized
from typing import Any, Final, TypeVar

from streamproc.messages.lane import Lane
from streamproc.serving.chunking.encoding_batches import EncodingBatches
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.fairness import FairTurns
from streamproc.serving.tasks.task import Job

ChunkT = TypeVar("ChunkT", bound=Sized)

# Below this, making a chunk takes less time than handing it to a thread would.
_INLINE_CHARACTERS: Final = 8_192


class ChunkMaker:
    """Encodes short texts with those of others, and cuts long ones in a thread."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._encodings = EncodingBatches(tokenizer)
        self._turns = FairTurns()

    async def begin(self, job: Job[ChunkT, Any], lane: Lane) -> Iterator[ChunkT]:
        """A job's chunks, for `following`."""
        if job.texts and job.characters <= _INLINE_CHARACTERS:
            job.encoded = await self._encodings.encode(job.texts, lane)
        return job.chunks()

    async def following(
        self, job: Job[ChunkT, Any], chunks: Iterator[ChunkT], lane: Lane
    ) -> ChunkT | None:
        """The next chunk of a job; None: there are no more."""
        if job.encoded:
            return next(chunks, None)
        if job.characters > _INLINE_CHARACTERS:
            return await asyncio.to_thread(next, chunks, None)
        await self._turns.turn(lane)
        return next(chunks, None)
