"""The offset tracker as a state machine: what may be committed, whatever the order of events."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streamproc.kafka.offsets import Delivery, OffsetTracker
from streamproc.messages.record import TopicPartition

PLACES = [TopicPartition("a", 0), TopicPartition("a", 1), TopicPartition("b", 0)]
PLACE = st.sampled_from(PLACES)


class TrackedOffsets(RuleBasedStateMachine):
    """The tracker beside a model that keeps every delivery and every finish."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker = OffsetTracker()
        self.generation = 0
        self.assigned: set[TopicPartition] = set()
        self.delivered: dict[TopicPartition, dict[int, bool]] = {}
        self.next_offset = dict.fromkeys(PLACES, 0)
        self.tickets: list[Delivery] = []
        self.seen_watermark: dict[TopicPartition, int] = {}
        self.passed: dict[TopicPartition, int] = {}

    @initialize()
    def first_assignment(self) -> None:
        self.reassign(set(PLACES))

    @rule(places=st.sets(PLACE))
    def reassign(self, places: set[TopicPartition]) -> None:
        self.generation += 1
        self.assigned = places
        self.delivered = {place: {} for place in places}
        self.seen_watermark, self.passed = {}, {}
        self.next_offset = dict.fromkeys(PLACES, 0)  # delivered again from anywhere
        self.tracker.assign(places, self.generation)

    @rule()
    def say_the_assignment_again(self) -> None:
        self.tracker.assign(self.assigned, self.generation)

    @rule(places=st.sets(PLACE))
    def revoke(self, places: set[TopicPartition]) -> None:
        self.tracker.revoke(places)
        self.assigned -= places
        for place in places:
            self.delivered.pop(place, None)
            self.seen_watermark.pop(place, None)
            self.passed.pop(place, None)

    @rule(place=PLACE, gap=st.integers(0, 5))
    def deliver(self, place: TopicPartition, gap: int) -> None:
        offset = self.next_offset[place] + gap
        self.next_offset[place] = offset + 1
        delivery = self.tracker.deliver(place, offset, self.generation)
        assert (delivery is not None) == (place in self.assigned)
        if delivery is not None:
            self.delivered[place][offset] = False
            self.tickets.append(delivery)

    @precondition(lambda self: self.tickets)
    @rule(data=st.data())
    def deliver_what_is_in_hand_again(self, data: st.DataObject) -> None:
        known = [(p, o) for p, offsets in self.delivered.items() for o in offsets]
        if known:
            place, offset = data.draw(st.sampled_from(known))
            assert self.tracker.deliver(place, offset, self.generation) is None

    @rule(place=PLACE, back=st.integers(1, 6))
    def deliver_late(self, place: TopicPartition, back: int) -> None:
        offset = self.next_offset[place] - back
        known = self.delivered.get(place, {})
        if offset < 0 or offset in known or not known or offset > max(known):
            return
        delivery = self.tracker.deliver(place, offset, self.generation)
        if offset < self.tracker.committable().get(place, 0):
            assert delivery is None
        else:
            assert delivery is not None
            known[offset] = False
            self.tickets.append(delivery)

    @rule(place=PLACE, offset=st.integers(0, 50))
    def deliver_of_another_generation(self, place: TopicPartition, offset: int) -> None:
        assert self.tracker.deliver(place, offset, self.generation - 1) is None

    @precondition(lambda self: self.tickets)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        delivery = data.draw(st.sampled_from(self.tickets))
        before = self.tracker.committable()
        known = self.delivered.get(delivery.topic_partition, {})
        ours = delivery.generation == self.generation and known.get(delivery.offset) is False
        assert self.tracker.finish(delivery) == ours
        if ours:
            known[delivery.offset] = True
        else:
            assert self.tracker.committable() == before

    @rule(place=PLACE, ahead=st.integers(0, 5), on_its_way=st.integers(0, 3))
    def pass_over(self, place: TopicPartition, ahead: int, on_its_way: int) -> None:
        """All before a position has been handed out; of that the last few may not be here yet."""
        handed = self.next_offset[place] - 1 + on_its_way
        position = handed + 1 + ahead
        before = self.tracker.committable().get(place)
        self.tracker.pass_over(place, handed, position)
        after = self.tracker.committable().get(place)
        if after != before:
            assert place in self.assigned
            assert not on_its_way
            assert all(self.delivered[place].values())
            assert after == position
            self.passed[place] = self.next_offset[place] = position

    @invariant()
    def the_low_watermark_is_the_end_of_the_finished_prefix(self) -> None:
        committable = self.tracker.committable()
        assert committable.keys() <= self.assigned
        for place, offsets in self.delivered.items():
            unfinished = [offset for offset, finished in offsets.items() if not finished]
            oldest = min(unfinished, default=None)
            assert self.tracker.oldest_unfinished(place) == oldest
            prefix = [offset for offset in offsets if oldest is None or offset < oldest]
            passed = max([offset + 1 for offset in prefix] + [self.passed.get(place, 0)])
            assert committable.get(place) == (passed or None)

    @invariant()
    def the_low_watermark_never_goes_back_within_an_assignment(self) -> None:
        committable = self.tracker.committable()
        for place, seen in self.seen_watermark.items():
            assert committable.get(place, -1) >= seen
        self.seen_watermark = committable


TrackedOffsets.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestOffsetTracker = TrackedOffsets.TestCase
