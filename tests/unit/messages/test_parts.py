from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from contextlib import suppress

import pytest

from streamproc.messages.parts import (
    MAX_PART_CHARACTERS,
    MAX_UNSTORED_PARTS,
    Part,
    PartPublisher,
)
from streamproc.messages.record import ProducerRecord


class Broker:
    """Takes parts in order, and has stored them when it is told so."""

    def __init__(self) -> None:
        self.taken: list[Part] = []
        self.stored: list[asyncio.Future[bool]] = []

    def record_of(self, part: Part) -> ProducerRecord:
        self.taken.append(part)
        return ProducerRecord("t", b"k", part.text.encode())

    async def hand_over(self, record: ProducerRecord) -> Awaitable[bool]:
        self.stored.append(asyncio.get_running_loop().create_future())
        return self.stored[-1]

    @property
    def texts(self) -> list[str]:
        return [part.text for part in self.taken]


@pytest.fixture
def broker() -> Broker:
    return Broker()


def publisher_to(broker: Broker) -> PartPublisher:
    return PartPublisher(broker.record_of, broker.hand_over)


async def turn() -> None:
    """Let what is ready run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_parts_are_sent_without_waiting_for_those_before_to_be_stored(
    broker: Broker,
) -> None:
    async with publisher_to(broker) as publisher:
        show = publisher.begin()
        for text in "abc":
            show(text)
            await turn()
        assert broker.texts == ["a", "b", "c"]
        assert not any(one.done() for one in broker.stored)


async def test_a_slow_broker_gets_fewer_and_longer_parts(broker: Broker) -> None:
    async with publisher_to(broker) as publisher:
        show = publisher.begin()
        for _ in range(MAX_UNSTORED_PARTS):
            show("x")
            await turn()
        for text in "abcdef":
            show(text)
            await turn()
        assert len(broker.taken) == MAX_UNSTORED_PARTS
        broker.stored[0].set_result(True)
        await turn()
        assert broker.texts[MAX_UNSTORED_PARTS:] == ["abcdef"]
        assert [part.sequence for part in broker.taken] == list(range(MAX_UNSTORED_PARTS + 1))


async def test_at_its_end_all_was_handed_over(broker: Broker) -> None:
    async with publisher_to(broker) as publisher:
        show = publisher.begin()
        show("a")
        show("b")
    assert broker.texts == ["ab"]


async def test_left_by_an_error_it_sends_no_more(broker: Broker) -> None:
    with suppress(ValueError):
        async with publisher_to(broker) as publisher:
            show = publisher.begin()
            show("a")
            raise ValueError
    show("b")
    await turn()
    assert broker.taken == []


async def test_texts_may_come_from_a_thread_and_keep_their_order(broker: Broker) -> None:
    letters = [chr(0x4E00 + number) for number in range(500)]
    async with publisher_to(broker) as publisher:
        show = publisher.begin()
        thread = threading.Thread(target=lambda: [show(letter) for letter in letters])
        thread.start()
        while thread.is_alive():
            await asyncio.sleep(0)
            for one in broker.stored:
                if not one.done():
                    one.set_result(True)
    assert "".join(broker.texts) == "".join(letters)


async def test_an_attempt_that_was_given_up_is_not_heard_any_more(broker: Broker) -> None:
    async with publisher_to(broker) as publisher:
        first = publisher.begin()
        first("a")
        await turn()
        second = publisher.begin()
        first("late")
        second("b")
    assert [(part.sequence, part.text) for part in broker.taken] == [(0, "a"), (0, "b")]
    assert broker.taken[0].attempt != broker.taken[1].attempt


async def test_after_a_part_that_was_lost_none_follows_until_the_next_attempt(
    broker: Broker,
) -> None:
    async with publisher_to(broker) as publisher:
        show = publisher.begin()
        show("a")
        await turn()
        broker.stored[0].set_result(False)
        await turn()
        show("b")
        await turn()
        assert broker.texts == ["a"]
        publisher.begin()("c")
    assert broker.texts == ["a", "c"]


async def test_what_breaks_in_sending_is_no_trouble_of_the_request(broker: Broker) -> None:
    async def breaks(record: ProducerRecord) -> Awaitable[bool]:
        raise RuntimeError("a bug")

    noted: list[bool] = []
    async with PartPublisher(broker.record_of, breaks, noted.append) as publisher:
        show = publisher.begin()
        show("a")
        await turn()
        show("b")
    assert broker.texts == ["a"]
    assert noted == [False]


async def test_a_text_is_cut_into_parts_that_any_topic_takes(broker: Broker) -> None:
    text = "é" * (2 * MAX_PART_CHARACTERS + 1)
    async with publisher_to(broker) as publisher:
        publisher.begin()(text)
    assert [len(part) for part in broker.texts] == [MAX_PART_CHARACTERS, MAX_PART_CHARACTERS, 1]
