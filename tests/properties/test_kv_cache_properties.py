"""Caches kept in place hold what caches laid out anew at every step would."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streamproc.serving.inference.cache_rows import CachedRow
from tests.support.growing_caches import Cache, GrowingCaches

MOST_ROWS = 9


class Sequences(RuleBasedStateMachine):
    """They join, leave, are doubled, stepped some at a time, and begin again where they were."""

    def __init__(self) -> None:
        super().__init__()
        self.caches = GrowingCaches()
        self.kept: list[tuple[list[CachedRow], list[list[Cache]]]] = []

    @rule(tokens=st.integers(1, 70))
    def start(self, tokens: int) -> None:
        if len(self.caches.rows) < MOST_ROWS:
            self.caches.start(tokens)

    @precondition(lambda self: self.caches.rows)
    @rule(steps=st.integers(1, 40))
    def step(self, steps: int) -> None:
        for _ in range(steps):
            self.caches.step()
        self.caches.check_stepped()

    @precondition(lambda self: self.caches.rows)
    @rule(data=st.data())
    def select(self, data: st.DataObject) -> None:
        row = st.integers(0, len(self.caches.rows) - 1)
        self.caches.select(data.draw(st.lists(row, min_size=1, max_size=MOST_ROWS)))

    @precondition(lambda self: self.caches.rows)
    @rule(data=st.data())
    def step_some(self, data: st.DataObject) -> None:
        """As where a batch is halved: the others stay as they are."""
        rows, expected = self.caches.rows, self.caches.expected
        middle = data.draw(st.integers(1, len(rows)))
        self.caches.rows, self.caches.expected = rows[:middle], expected[:middle]
        self.caches.step()
        self.caches.rows += rows[middle:]
        self.caches.expected += expected[middle:]

    @precondition(lambda self: self.caches.rows)
    @rule()
    def remember(self) -> None:
        self.kept.append((list(self.caches.rows), list(self.caches.expected)))

    @precondition(lambda self: self.kept)
    @rule()
    def go_back(self) -> None:
        self.caches.rows, self.caches.expected = self.kept.pop()

    @invariant()
    def rows_hold_what_they_are_to(self) -> None:
        self.caches.check()
        now = self.caches.rows, self.caches.expected
        for kept in self.kept:
            self.caches.rows, self.caches.expected = kept
            self.caches.check()
        self.caches.rows, self.caches.expected = now


TestSequences = Sequences.TestCase
TestSequences.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
