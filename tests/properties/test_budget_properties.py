"""The budget as a state machine: acquired, released and cancelled in any order."""

from __future__ import annotations

import asyncio

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from streamproc.serving.batching.queue_limit import Budget

LIMIT = 10


class Demands(RuleBasedStateMachine):
    """Every demand is a task that waits for its amount and then holds it."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.budget = Budget(LIMIT)
        self.next_number = 0
        self.order: list[int] = []
        self.asked: list[int] = []
        self.holding: dict[int, int] = {}
        self.waiting: dict[int, tuple[int, asyncio.Task[None]]] = {}

    def teardown(self) -> None:
        for _, task in self.waiting.values():
            task.cancel()
        self.turn()
        self.loop.close()

    def turn(self) -> None:
        """Let the loop run until nothing more happens by itself."""

        async def turns() -> None:
            for _ in range(5):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turns())

    async def demand(self, number: int, amount: int) -> None:
        await self.budget.acquire(amount)
        self.order.append(number)
        self.holding[number] = amount
        self.waiting.pop(number)

    @rule(amount=st.integers(1, 2 * LIMIT), wait=st.booleans())
    def acquire(self, amount: int, wait: bool) -> None:
        number = self.next_number
        self.next_number += 1
        self.asked.append(number)
        self.waiting[number] = (amount, self.loop.create_task(self.demand(number, amount)))
        if wait:
            self.turn()

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        self.turn()
        if self.holding:
            number = data.draw(st.sampled_from(sorted(self.holding)))
            self.budget.release(self.holding.pop(number))

    @rule(data=st.data(), after_release=st.booleans())
    def cancel(self, data: st.DataObject, after_release: bool) -> None:
        self.turn()
        if not self.waiting:
            return
        if after_release and self.holding:
            # Room is given to the first in line, which goes away before it learns of that.
            self.budget.release(self.holding.pop(min(self.holding)))
        number = data.draw(st.sampled_from(sorted(self.waiting)))
        _, task = self.waiting[number]
        task.cancel()
        self.turn()
        self.waiting.pop(number, None)
        self.asked.remove(number)
        if number in self.holding:
            self.budget.release(self.holding.pop(number))

    @invariant()
    def what_is_held_is_counted_and_within_the_limit(self) -> None:
        self.turn()
        held = sum(self.holding.values())
        assert self.budget.used == held
        assert held <= LIMIT or len(self.holding) == 1

    @invariant()
    def the_first_to_ask_are_the_first_to_get(self) -> None:
        self.turn()
        served = [number for number in self.order if number in self.asked]
        assert served == self.asked[: len(served)]

    @invariant()
    def nobody_waits_while_there_is_room(self) -> None:
        self.turn()
        if self.waiting:
            amount, _ = self.waiting[min(self.waiting)]
            assert self.holding
            assert sum(self.holding.values()) + amount > LIMIT


TestBudget = Demands.TestCase
TestBudget.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
