"""What leaves a route leaves it in the order of its key, whatever is ready first."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.enrichment.key_order import KeyOrder
from streamproc.messages.record import Record
from tests.support.route_scenes import MOOD, Scene


def record(
    offset: int, key: bytes | None, value: bytes = b"{}", topic_partition: int = 0
) -> Record:
    return Record("in", topic_partition, offset, 0, key, value, ())


class Went:
    """Events going through an order, and which of them got through, in turn."""

    def __init__(self) -> None:
        self.order = KeyOrder()
        self.ready: dict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self.through: list[int] = []

    async def go(self, one: Record) -> None:
        with self.order.place(one) as place:
            await self.ready[one.offset].wait()
            await place.turn()
            self.through.append(one.offset)


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


@given(
    keys=st.lists(st.sampled_from([b"a", b"b", None]), min_size=1, max_size=12),
    data=st.data(),
)
def test_every_key_keeps_its_order_and_waits_for_no_other(
    keys: list[bytes | None], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(keys))))
    given_up = data.draw(st.sets(st.sampled_from(range(len(keys)))))

    async def run() -> None:
        went = Went()
        tasks = [asyncio.create_task(went.go(record(n, key))) for n, key in enumerate(keys)]
        await settle()
        ended: set[int] = set()
        for number in order:
            if number in given_up:
                tasks[number].cancel()
                with suppress(asyncio.CancelledError):
                    await tasks[number]
            else:
                went.ready[number].set()
            ended.add(number)
            await settle()
            # Exactly those have gone through that are ready, as all of their key before them are.
            assert set(went.through) == {
                n for n in ended - given_up
                if keys[n] is None or all(m in ended for m in range(n) if keys[m] == keys[n])
            }  # fmt: skip
        for key in (b"a", b"b"):
            assert [n for n in went.through if keys[n] == key] == [
                n for n in range(len(keys)) if keys[n] == key and n not in given_up
            ]
        assert not went.order._last

    asyncio.run(run())


async def test_topic_partitions_do_not_wait_for_each_other() -> None:
    went = Went()
    first = asyncio.create_task(went.go(record(0, b"k", topic_partition=0)))
    second = asyncio.create_task(went.go(record(1, b"k", topic_partition=1)))
    went.ready[1].set()
    await second
    assert went.through == [1]
    went.ready[0].set()
    await first


@pytest.mark.parametrize("key", [b"shop", None])
async def test_a_route_publishes_events_of_a_key_as_they_came(key: bytes | None) -> None:
    scene, slow = Scene(MOOD), asyncio.Event()
    answers = scene.answerers["text-classification"]
    answer = answers.answer

    async def slowly(request: object) -> object:
        if request.inputs["text"] == "slow":  # type: ignore[attr-defined]
            await slow.wait()
        return await answer(request)  # type: ignore[arg-type]

    answers.answer = slowly  # type: ignore[assignment, method-assign]
    values = [b'{"body":"slow"}', b"no event", b'{"body":"fast"}']
    events = [
        asyncio.create_task(scene.enricher(record(n, key, value))) for n, value in enumerate(values)
    ]
    await settle()
    before_slow = [one.topic for one in scene.published]
    slow.set()
    await asyncio.gather(*events)

    assert before_slow == ([] if key else ["dead", "out"])
    assert [one.topic for one in scene.published] == (
        ["out", "dead", "out"] if key else ["dead", "out", "out"]
    )
    assert b"slow" in (scene.published[0 if key else 2].value or b"")
