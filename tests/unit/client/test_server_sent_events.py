from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from hypothesis import given
from hypothesis import strategies as st

from streamproc.client.server_sent_events import ServerSentEvent, server_sent_events


def events_in(chunks: Sequence[bytes]) -> list[tuple[str, str]]:
    async def came() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def read() -> list[ServerSentEvent]:
        return [event async for event in server_sent_events(came())]

    return [(event.name, event.data) for event in asyncio.run(read())]


def test_events_are_read_as_the_standard_says() -> None:
    body = b": a comment\r\nevent: part\ndata: one\ndata:two\n\ndata:  three\rid: 4\r\revent: x\n\n"

    assert events_in([body]) == [("part", "one\ntwo"), ("message", " three")]


def test_an_event_that_is_not_whole_is_left_out() -> None:
    assert events_in([b"data: one\n\ndata: two\n"]) == [("message", "one")]


@given(
    texts=st.lists(st.text(alphabet=st.characters(exclude_characters="\r\n")), max_size=4),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    cuts=st.lists(st.integers(0, 60), max_size=8),
)
def test_it_does_not_matter_where_a_body_is_cut(
    texts: list[str], end: str, cuts: list[int]
) -> None:
    body = "".join(f"event: part{end}data: {text}{end}{end}" for text in texts)
    encoded = body.encode("utf-8", "surrogatepass")
    places = sorted({min(cut, len(encoded)) for cut in cuts})
    chunks = [
        encoded[start:stop]
        for start, stop in zip([0, *places], [*places, len(encoded)], strict=True)
    ]

    assert events_in(chunks) == events_in([encoded])
    assert len(events_in(chunks)) == len(texts)
