"""The queue as a state machine: whatever is put, discarded and taken, in any order."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from streamproc.serving.batching.queue import Entry, TokenQueue


class Waiting(RuleBasedStateMachine):
    """Beside the queue, the entries that should be in it, oldest first."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: TokenQueue[int] = TokenQueue()
        self.model: list[Entry[int]] = []
        self.left: list[Entry[int]] = []
        self.next_item = 0

    @rule(tokens=st.integers(1, 40))
    def put(self, tokens: int) -> None:
        self.model.append(self.queue.put(self.next_item, tokens))
        self.next_item += 1

    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        if self.model:
            entry = self.model.pop(data.draw(st.integers(0, len(self.model) - 1)))
            self.queue.discard(entry)
            self.left.append(entry)

    @rule(data=st.data())
    def discard_what_is_gone(self, data: st.DataObject) -> None:
        if self.left:
            self.queue.discard(data.draw(st.sampled_from(self.left)))

    @rule(budget=st.integers(1, 120))
    def take(self, budget: int) -> None:
        by_item = {entry.item: entry for entry in self.model}

        batch = [by_item[item] for item in self.queue.take(budget)]

        assert len(set(map(id, batch))) == len(batch)
        assert bool(batch) == bool(self.model)
        if not batch:
            return
        assert self.model[0] in batch
        lengths = [entry.tokens for entry in batch]
        assert lengths == sorted(lengths)
        assert len(batch) == 1 or max(lengths) * len(batch) <= budget
        self.model = [entry for entry in self.model if entry not in batch]
        self.left += batch
        # Of nearly one length: nothing that stays behind would have fitted between.
        assert not [e for e in self.model if min(lengths) < e.tokens < max(lengths)]

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        assert sorted(self.queue) == sorted(entry.item for entry in self.model)
        assert len(self.queue) == len(self.model)
        assert self.queue.tokens == sum(entry.tokens for entry in self.model)
        assert self.queue.oldest() is (self.model[0] if self.model else None)


TestQueue = Waiting.TestCase
TestQueue.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
