"""Texts of many requests encoded in one call, off the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

from tokenizers import Encoding

from streamproc.messages.lane import Lane
from streamproc.serving.chunking.tokens import TextTokenizer

MOST_TEXTS: Final = 64
"""In one call: all whose texts are encoded go on in one turn of the loop, ahead of its news."""

Encodings = Sequence[Encoding]
_Waiting = tuple[Sequence[str], asyncio.Future[Encodings]]


class EncodingBatches:
    """Encodes what is asked for in one turn of the loop together, and gathers more meanwhile.

    Each lane has calls of its own, so that no interactive text waits for bulk ones.
    """

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer
        self._waiting: dict[Lane, deque[_Waiting]] = {lane: deque() for lane in Lane}
        self._running: dict[Lane, asyncio.Task[None]] = {}

    async def encode(self, texts: Sequence[str], lane: Lane) -> Encodings:
        """Each text's tokens without special ones; none where the call of their batch has failed,
        and whoever asks has to try them by themselves."""
        waiting = self._waiting[lane]
        if not waiting and lane not in self._running:
            asyncio.get_running_loop().call_soon(self._begin, lane)
        encoded: asyncio.Future[Encodings] = asyncio.get_running_loop().create_future()
        waiting.append((texts, encoded))
        return await encoded

    def _begin(self, lane: Lane) -> None:
        """Encode what waits; a single request's texts here, as handing them over takes longer."""
        waiting, batch = self._waiting[lane], list[_Waiting]()
        while waiting and len(batch) < MOST_TEXTS:
            one = waiting.popleft()
            if not one[1].done():
                batch.append(one)
        if len(batch) > 1:
            running = asyncio.get_running_loop().create_task(self._encode(batch))
            self._running[lane] = running
            running.add_done_callback(lambda _: self._go_on(lane))
        elif batch:
            encodings: Encodings = ()
            try:
                encodings = self._encoded(batch[0][0])
            finally:
                _hand_out(batch, encodings)

    def _go_on(self, lane: Lane) -> None:
        del self._running[lane]
        self._begin(lane)

    async def _encode(self, batch: Sequence[_Waiting]) -> None:
        texts = [text for own, _ in batch for text in own]
        encodings: Encodings = ()
        try:
            encodings = await asyncio.to_thread(self._encoded, texts)
        finally:
            # Whatever came of it: nobody else ends what these wait for.
            _hand_out(batch, encodings)

    def _encoded(self, texts: Sequence[str]) -> Encodings:
        try:
            return self._tokenizer.encode_each(texts)
        except Exception:  # noqa: BLE001 - whose text it is shows once each is tried by itself
            return ()


def _hand_out(batch: Sequence[_Waiting], encodings: Encodings) -> None:
    first = 0
    for texts, encoded in batch:
        if not encoded.done():
            encoded.set_result(encodings[first : first + len(texts)])
        first += len(texts)
