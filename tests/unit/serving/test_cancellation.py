from __future__ import annotations

import asyncio

import pytest

from streamproc.errors import Cancelled
from streamproc.messages.cancel import MAX_ID_BYTES, cancel_record, cancelled_id
from streamproc.messages.record import Headers, Record
from streamproc.messages.reply_address import SPRING_CORRELATION_ID
from streamproc.serving.cancellation import KEEP_S, MOST, Cancels
from streamproc.testing import ManualClock, build_record


def asked(correlation_id: bytes | None) -> Record:
    return build_record({}, headers=((SPRING_CORRELATION_ID, correlation_id),))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def cancels(clock: ManualClock) -> Cancels:
    return Cancels(clock)


async def answer(cancels: Cancels, record: Record) -> str:
    """Takes until it is cancelled."""
    async with cancels.cancellable(record):
        await asyncio.Event().wait()
    raise AssertionError("nothing sets the event")


async def test_who_was_taken_back_before_is_not_begun(cancels: Cancels) -> None:
    cancels.take(b"one")

    with pytest.raises(Cancelled) as before:
        await answer(cancels, asked(b"one"))

    assert not before.value.is_begun


async def test_who_is_taken_back_is_ended_and_a_neighbour_goes_on(cancels: Cancels) -> None:
    first, twin, other = (
        asyncio.create_task(answer(cancels, asked(name))) for name in (b"one", b"one", b"two")
    )
    await asyncio.sleep(0)

    cancels.take(b"one")
    await asyncio.wait({first, twin})

    for ended in (first, twin):
        error = ended.exception()
        assert isinstance(error, Cancelled)
        assert error.is_begun
    assert not other.done()
    other.cancel()
    with pytest.raises(asyncio.CancelledError):
        await other


async def test_one_that_both_its_sender_and_the_worker_end_has_no_answer(cancels: Cancels) -> None:
    for worker_first in (True, False):
        correlation_id = b"%d" % worker_first
        answering = asyncio.create_task(answer(cancels, asked(correlation_id)))
        await asyncio.sleep(0)
        if worker_first:
            answering.cancel()
        cancels.take(correlation_id)
        if not worker_first:
            answering.cancel()

        with pytest.raises(asyncio.CancelledError):
            await answering


async def test_a_time_out_inside_is_told_from_it(cancels: Cancels) -> None:
    async with cancels.cancellable(asked(b"one")):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.Event().wait()


@pytest.mark.parametrize(
    "headers", [(), ((SPRING_CORRELATION_ID, None),), ((SPRING_CORRELATION_ID, b""),)]
)
async def test_a_request_without_an_identifier_can_not_be_taken_back(
    cancels: Cancels, headers: Headers
) -> None:
    async with cancels.cancellable(build_record({}, headers=headers)):
        cancels.take(b"one")
        await asyncio.sleep(0)


async def test_identifiers_that_are_too_long_are_not_followed(cancels: Cancels) -> None:
    long = b"x" * (MAX_ID_BYTES + 1)
    as_read = Record("cancels", 0, 0, 0, cancel_record("cancels", long).key, None)

    assert cancelled_id(as_read) is None
    async with cancels.cancellable(asked(long)):
        cancels.take(long)
        await asyncio.sleep(0)


def test_what_is_old_is_forgotten_and_what_is_old_already_never_known(
    cancels: Cancels, clock: ManualClock
) -> None:
    cancels.take(b"early", KEEP_S)
    cancels.take(b"older", KEEP_S - 10)
    cancels.take(b"new")
    assert [name in cancels for name in (b"early", b"older", b"new")] == [False, True, True]

    clock.advance(10)
    cancels.take(b"new")
    assert [name in cancels for name in (b"older", b"new")] == [False, True]

    # The second time did not make it younger.
    clock.advance(KEEP_S - 10)
    assert len(cancels) == 0


def test_of_too_many_the_newest_are_known(cancels: Cancels) -> None:
    for number in range(MOST + 5):
        cancels.take(b"%d" % number)

    assert len(cancels) == MOST
    assert b"4" not in cancels
    assert b"5" in cancels
