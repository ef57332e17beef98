from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Sequence

import pytest
from tokenizers import Encoding

from streamproc.messages.lane import Lane
from streamproc.serving.chunking.encoding_batches import MOST_TEXTS, EncodingBatches
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.testing import build_engine, build_spec
from tests.support.panicking_tokenizer import PANICS, panicking_tokenizer

INTERACTIVE, BULK = Lane.INTERACTIVE, Lane.BULK


class Watched:
    """A tokenizer whose calls are known; it may be held up, or fail on a text."""

    def __init__(self, error: type[BaseException] = ValueError) -> None:
        self.error = error
        self.tokenizer = build_spec().tokenizer
        self.calls: list[tuple[list[str], bool]] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def encode_each(self, texts: Sequence[str]) -> list[Encoding]:
        is_here = threading.current_thread() is threading.main_thread()
        self.calls.append((list(texts), is_here))
        if not is_here:
            self.go_on.wait(10)
        if "poison" in texts:
            raise self.error
        return self.tokenizer.encode_each(texts)


def batches_of(tokenizer: Watched) -> EncodingBatches:
    as_tokenizer: TextTokenizer = tokenizer  # type: ignore[assignment]
    return EncodingBatches(as_tokenizer)


async def test_texts_that_come_together_are_encoded_together_off_the_loop() -> None:
    tokenizer = Watched()
    batches = batches_of(tokenizer)

    good, (bad, film) = await asyncio.gather(
        batches.encode(["good"], INTERACTIVE), batches.encode(["bad", "film"], INTERACTIVE)
    )

    assert tokenizer.calls == [(["good", "bad", "film"], False)]
    expected = tokenizer.tokenizer.encode_each(["good", "bad", "film"])
    assert [one.ids for one in (*good, bad, film)] == [one.ids for one in expected]


async def test_one_alone_is_encoded_at_once() -> None:
    tokenizer = Watched()
    await batches_of(tokenizer).encode(["good"], INTERACTIVE)
    assert tokenizer.calls == [(["good"], True)]


async def test_an_interactive_text_does_not_wait_for_bulk_ones() -> None:
    tokenizer = Watched()
    tokenizer.go_on.clear()
    batches = batches_of(tokenizer)
    bulk = [asyncio.create_task(batches.encode(["bad"], BULK)) for _ in range(2 * MOST_TEXTS)]
    while not tokenizer.calls:  # noqa: ASYNC110 - another thread's call is no event
        await asyncio.sleep(0)

    assert len(await batches.encode(["good"], INTERACTIVE)) == 1

    tokenizer.go_on.set()
    await asyncio.gather(*bulk)
    sizes = [len(texts) for texts, _ in tokenizer.calls if "bad" in texts]
    assert sizes == [MOST_TEXTS, MOST_TEXTS]


async def test_whoever_is_cancelled_leaves_the_others_theirs() -> None:
    tokenizer = Watched()
    batches = batches_of(tokenizer)
    leaving, staying, more = (
        asyncio.create_task(batches.encode([text], BULK)) for text in ("bad", "good", "film")
    )
    await asyncio.sleep(0)
    leaving.cancel()

    assert [one.tokens for one in await staying] == [["good"]]
    assert [one.tokens for one in await more] == [["film"]]
    assert "bad" not in [text for texts, _ in tokenizer.calls for text in texts]


async def test_a_batch_that_fails_leaves_each_to_try_for_itself() -> None:
    batches = batches_of(Watched())
    found = await asyncio.gather(batches.encode(["good"], BULK), batches.encode(["poison"], BULK))
    assert [*map(len, found)] == [0, 0]


async def test_a_batch_that_the_library_panics_over_leaves_each_to_try_for_itself() -> None:
    batches = EncodingBatches(panicking_tokenizer())
    async with asyncio.timeout(60):
        found = await asyncio.gather(batches.encode(["good"], BULK), batches.encode([PANICS], BULK))
        alone = await batches.encode([PANICS], BULK)
        after = await batches.encode(["good"], BULK)
    assert [*map(len, (*found, alone, after))] == [0, 0, 0, 1]


class Unforeseen(BaseException):
    """What nobody handles."""


@pytest.mark.parametrize("texts", [["poison"], ["good", "poison"]])
async def test_nobody_waits_for_ever_whatever_is_raised(texts: list[str]) -> None:
    told = list[BaseException]()
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: told.append(context["exception"])
    )
    batches = batches_of(Watched(Unforeseen))
    async with asyncio.timeout(20):
        found = await asyncio.gather(*(batches.encode([text], BULK) for text in texts))
        after = await batches.encode(["good"], BULK)
    gc.collect()

    assert [*map(len, (*found, after))] == [*(0 for _ in texts), 1]
    assert [*map(type, told)] == [Unforeseen]


@pytest.mark.parametrize("text", ["", "good", "the good film " * 40])
async def test_a_text_that_was_encoded_before_has_the_same_chunks(text: str) -> None:
    engine = build_engine()
    plain, known = (engine.task.begin({"text": text}, {}, engine.spec) for _ in range(2))
    known.encoded = engine.spec.tokenizer.encode_each([text])

    chunks = [
        [(chunk.ids.tolist(), chunk.offsets.tolist(), chunk.start, chunk.end) for chunk in made]
        for made in (plain.chunks(), known.chunks())
    ]
    assert chunks[0] == chunks[1]
