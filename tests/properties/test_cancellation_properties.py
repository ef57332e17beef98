"""Requests that were taken back: within bounds, and one terminal record whatever comes when."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from streamproc.errors import Cancelled
from streamproc.messages.reply_address import SPRING_CORRELATION_ID
from streamproc.serving.cancellation import Cancels
from streamproc.testing import ManualClock, build_record

KEEP_S, MOST = 10.0, 4
IDS = st.sampled_from([b"a", b"b", b"c", b"d", b"e", b"f", b"g"])
TURNS = st.integers(0, 6)
STEPS = st.lists(
    st.tuples(IDS, st.sampled_from([0.0, 0.0, 0.0, 4.0, 12.0]), st.sampled_from([0.0, 1.0, 5.0])),
    max_size=40,
)


@given(steps=STEPS)
def test_what_is_known_is_what_was_taken_back_last_and_lately(
    steps: Sequence[tuple[bytes, float, float]],
) -> None:
    clock = ManualClock()
    cancels = Cancels(clock, most=MOST, keep_s=KEEP_S)
    # Of each identifier, when it was taken back for the last time that counts.
    taken: dict[bytes, float] = {}
    since: dict[bytes, set[bytes]] = {}
    for correlation_id, age_s, wait_s in steps:
        was_known = correlation_id in cancels
        cancels.take(correlation_id, age_s)
        if not was_known and age_s < KEEP_S:
            taken[correlation_id] = clock.monotonic_s() - age_s
            since[correlation_id] = set()
            for other in since.keys() - {correlation_id}:
                since[other].add(correlation_id)
        clock.advance(wait_s)

        assert len(cancels) <= MOST
        for one in (b"a", b"b", b"c", b"d", b"e", b"f", b"g"):
            is_late = one in taken and clock.monotonic_s() - taken[one] < KEEP_S
            if one in cancels:
                assert is_late
            elif is_late:
                assert len(since[one]) >= MOST


@given(answer=TURNS, cleanup=TURNS, publish=TURNS, cancel_at=TURNS, revoke_at=st.none() | TURNS)
def test_a_request_has_one_terminal_record_and_one_that_is_revoked_has_none(
    answer: int, cleanup: int, publish: int, cancel_at: int, revoke_at: int | None
) -> None:
    asyncio.run(race(answer, cleanup, publish, cancel_at, revoke_at))


async def race(
    answer: int, cleanup: int, publish: int, cancel_at: int, revoke_at: int | None
) -> None:
    """All of them in turns of the event loop."""
    cancels = Cancels(ManualClock())
    record = build_record({}, headers=((SPRING_CORRELATION_ID, b"id"),))
    published: list[str] = []

    async def handle() -> None:
        try:
            async with cancels.cancellable(record):
                try:
                    await turns(answer)
                finally:
                    await turns(cleanup)
            status = "answered"
        except Cancelled:
            status = "cancelled"
        await turns(publish)
        published.append(status)

    async def cancel() -> None:
        await turns(cancel_at)
        cancels.take(b"id")

    handling, cancelling = asyncio.create_task(handle()), asyncio.create_task(cancel())
    is_revoked = False
    if revoke_at is not None:
        await turns(revoke_at)
        is_revoked = handling.cancel()
    await asyncio.wait({handling, cancelling})

    assert handling.cancelled() == is_revoked
    assert len(published) == (0 if is_revoked else 1)
    if not is_revoked:
        assert handling.cancelling() == 0
    # Nothing is left that a second one could end.
    cancels.take(b"id")


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)
