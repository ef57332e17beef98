"""When fetching pauses: a lane has all the bytes in flight it may, or answers can't be stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streamproc.kafka.byte_budget import ByteBudget
from streamproc.kafka.consumer_control import ConsumerControl
from streamproc.kafka.offsets import Delivery, OffsetTracker
from streamproc.messages.lane import Lane
from streamproc.messages.record import Record, TopicPartition


class Backpressure:
    """Pauses and resumes the topic-partitions of one assignment after another.

    lanes: of the topics that are consumed
    held_topics: nothing is fetched from these, whatever their lane has in flight
    """

    def __init__(
        self,
        consumer: ConsumerControl,
        tracker: OffsetTracker,
        lanes: Mapping[str, Lane],
        max_in_flight_bytes: int,
    ) -> None:
        self._consumer = consumer
        self._tracker = tracker
        self._lanes = lanes
        self._is_open = True
        # Requests whose topic is held don't count for their lane, which others would find full.
        self._uncounted: set[Delivery] = set()
        self.budgets = {lane: ByteBudget(max_in_flight_bytes) for lane in Lane}
        self.held_topics: frozenset[str] = frozenset()

    def begun(self, topic: str, records: Sequence[Record]) -> None:
        """Records of a topic were taken in."""
        lane, is_full = self._lanes[topic], False
        for record in records:
            is_full = self.budgets[lane].take(record.size_bytes)
        if is_full:
            self._consumer.pause(self._fetched_of(lane))

    def ended(self, delivery: Delivery, record: Record) -> None:
        """A record is no longer in flight."""
        if delivery in self._uncounted:
            self._uncounted.discard(delivery)
        else:
            self._give_back(delivery, record)

    def kept(self, delivery: Delivery, answer_bytes: int) -> None:
        """The answer of a record that is no longer in flight can't be stored yet."""
        lane = self._lanes[delivery.topic_partition.topic]
        if self.budgets[lane].keep(answer_bytes):
            self._consumer.pause(self._fetched_of(lane))

    def let_go(self, delivery: Delivery, answer_bytes: int) -> None:
        """Such an answer is stored, or dropped."""
        if delivery in self._uncounted:
            self._uncounted.discard(delivery)
            return
        lane = self._lanes[delivery.topic_partition.topic]
        if self.budgets[lane].let_go(answer_bytes) and self._is_open:
            self._consumer.resume(self._fetched_of(lane))

    def hold(
        self,
        topics: frozenset[str],
        in_flight: Mapping[Delivery, Record],
        kept: Mapping[Delivery, int] | None = None,
    ) -> None:
        """Fetch nothing from these topics; again from all others.

        in_flight: their requests; kept: the bytes of their answers that can't be stored yet
        """
        released, self.held_topics = self.held_topics - topics, topics
        if not self._is_open or not topics | released:
            return
        # All of them each time: those assigned since, and those that Faust went on with.
        self._consumer.pause(tp for tp in self._tracker.assigned() if tp.topic in topics)
        for lane in Lane:
            if not self.budgets[lane].is_full:
                chosen = self._fetched_of(lane)
                self._consumer.resume(tp for tp in chosen if tp.topic in released)
        for delivery, record in in_flight.items():
            if delivery not in self._uncounted:
                self._uncounted.add(delivery)
                self._give_back(delivery, record)
        for delivery, answer_bytes in (kept or {}).items():
            if delivery not in self._uncounted:
                self.let_go(delivery, answer_bytes)
                self._uncounted.add(delivery)

    def close(self) -> None:
        """Fetch nothing more."""
        self._is_open = False
        self._consumer.pause(self._tracker.assigned())

    def _give_back(self, delivery: Delivery, record: Record) -> None:
        lane = self._lanes[delivery.topic_partition.topic]
        if self.budgets[lane].give_back(record.size_bytes) and self._is_open:
            self._consumer.resume(self._fetched_of(lane))

    def _fetched_of(self, lane: Lane) -> list[TopicPartition]:
        return [
            tp
            for tp in self._tracker.assigned()
            if self._lanes[tp.topic] is lane and tp.topic not in self.held_topics
        ]
