"""What a Kafka worker says of itself: what it has in hand, and why it is not ready."""

from __future__ import annotations

from collections.abc import Container

from streamproc.kafka.backlog import Backlog
from streamproc.kafka.consumer_state import ConsumerState
from streamproc.kafka.dispatcher import Dispatcher
from streamproc.kafka.producer import Producer
from streamproc.messages.lane import Lane
from streamproc.messages.record import TopicPartition


class WorkerStatus:
    """Read while the worker runs, and before and after.

    ready_lag_s: how long what is finished may wait for its commit
    """

    def __init__(self, producer: Producer, ready_lag_s: float) -> None:
        self._producer = producer
        self._ready_lag_s = ready_lag_s
        self._consumer_state = ConsumerState()
        self._dispatcher: Dispatcher | None = None
        self._stopping = False

    @property
    def in_flight(self) -> int:
        """Requests taken and not yet finished."""
        return len(self._dispatcher.requests) if self._dispatcher else 0

    def in_flight_bytes(self, lane: Lane) -> int:
        """Bytes that the requests in flight on a lane count for."""
        return self._dispatcher.budgets[lane].in_flight_bytes if self._dispatcher else 0

    def is_paused(self, lane: Lane) -> bool:
        """Fetching rests because the lane has as many bytes in flight as it may."""
        return self._dispatcher is not None and self._dispatcher.budgets[lane].is_full

    @property
    def kept_answers(self) -> int:
        """Finished requests whose answers wait for the transaction that commits them."""
        return self._dispatcher.kept_answers if self._dispatcher else 0

    @property
    def assigned(self) -> frozenset[TopicPartition]:
        """The topic-partitions that this worker has."""
        return self._dispatcher.assigned if self._dispatcher else frozenset()

    def backlog(self, topics: Container[str]) -> Backlog:
        """What waits in the topic-partitions that this worker has of some topics."""
        return self._dispatcher.backlog(topics) if self._dispatcher else Backlog()

    @property
    def handler_errors(self) -> int:
        """Times a handler raised, which none should."""
        return self._dispatcher.requests.handler_errors if self._dispatcher else 0

    @property
    def uncommitted_s(self) -> float:
        """Seconds that something finished has been waiting for its commit."""
        return self._dispatcher.committer.behind_s() if self._dispatcher else 0.0

    @property
    def at_rest_s(self) -> float:
        """Seconds that nothing is read, as an assignment has not begun yet."""
        return self._dispatcher.at_rest_s if self._dispatcher else 0.0

    def ready(self) -> bool:
        """Requests are being taken and answered."""
        return not self.not_ready()

    def not_ready(self) -> list[str]:
        """Why the worker is not ready, a clause each; empty when it is."""
        found = []
        if self._stopping:
            found.append("the worker is stopping")
        if self._consumer_state.refusal is not None:
            found.append(f"the consumer group: {self._consumer_state.refusal}")
        elif self._dispatcher is None or self._dispatcher.generation is None:
            found.append("no topic-partitions have been assigned yet")
        elif self._dispatcher.last_error is not None:
            found.append(self._dispatcher.last_error)
        if self.at_rest_s > self._ready_lag_s:
            found.append(f"the group has not let it read for {self.at_rest_s:.0f} s")
        if self._producer.last_error is not None:
            found.append(f"Kafka: {self._producer.last_error}")
        troubles = self._producer.troubles.reasons()
        found.extend(f"topic {topic}: {reason}" for topic, reason in troubles.items())
        if self.uncommitted_s > self._ready_lag_s:
            found.append(f"finished requests uncommitted for {self.uncommitted_s:.0f} s")
        return found
