"""The thread that reads from Kafka: interactive records first, and every one of a log's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from aiokafka import TopicPartition as ClientTopicPartition
from aiokafka.errors import CommitFailedError, KafkaConnectionError
from aiokafka.structs import OffsetAndMetadata
from faust.types import TP

from streamproc.errors import BrokerUnavailable
from streamproc.kafka.backoff import keep_connecting
from streamproc.kafka.commits import Position
from streamproc.kafka.committed_offsets import raise_group_errors
from streamproc.kafka.consumer_state import ConsumerState
from streamproc.kafka.further_errors import FencedInstanceIdError
from streamproc.kafka.group_membership import keep_joining
from streamproc.kafka.idle_fetches import wait_long_when_idle
from streamproc.kafka.metadata_backoff import wait_after_failed_updates
from streamproc.kafka.private_api import (
    ConsumerThread,
    assignment_of,
    background_tasks,
    client_of,
    hand_out_later,
    is_joining,
    note_poll,
    rejoin_group,
    set_fetching,
)
from streamproc.kafka.progress import HandedOut, ProgressNotes
from streamproc.kafka.record_batches import read_every_record
from streamproc.kafka.remade_logs import RemadeLogs
from streamproc.kafka.seek_to_committed import SeekToCommitted, put_back
from streamproc.kafka.start_at_end import start_at_end
from streamproc.kafka.static_membership import tell_name

FETCH_MAX_WAIT_MS: Final = 50
COMMIT_TIMEOUT_S: Final = 3.0
# A flood of interactive requests leaves the bulk lane this part of every poll.
BULK_SHARE: Final = 0.25


class LaneThread(ConsumerThread):
    """Reads for `faust_consumer.LaneConsumer`, which says what it does otherwise than Faust's."""

    def __init__(
        self,
        consumer: Any,
        state: ConsumerState,
        interactive_topics: frozenset[str],
        topics_from_end: frozenset[str],
        **options: Any,
    ) -> None:
        super().__init__(consumer, **options)
        self._state = state
        self._interactive_topics = interactive_topics
        self._topics_from_end = topics_from_end
        self._progress = ProgressNotes(state)
        self._seek = SeekToCommitted()
        self._remade: RemadeLogs | None = None
        self._crashing: asyncio.Future[Any] | None = None

    def make_client(self, transport: Any) -> Any:
        read_every_record()
        client = super().make_client(transport)
        set_fetching(client, FETCH_MAX_WAIT_MS, "read_committed")
        wait_after_failed_updates(client_of(client))
        return client

    async def on_start(self) -> None:
        if not await keep_connecting(self._connect, self._pause):
            return
        keep_joining(self.client, self._state)
        raise_group_errors(self.client)
        tell_name(self.client, self.consumer.app.conf.consumer_group_instance_id)
        wait_long_when_idle(self.client)
        self._remade = RemadeLogs(self.client, self._state)
        # Faust takes records from the fetcher by itself, and does not see that one has failed.
        for task in (*background_tasks(self.client), self._remade.watching):
            task.add_done_callback(self._crash_of)

    async def _connect(self) -> None:
        """Raises BrokerUnavailable where those that were there a moment ago are not."""
        try:
            await super().on_start()
        except KafkaConnectionError as error:
            # Another one is made for the next try.
            await self.client.stop()
            servers = ",".join(url.authority for url in self.transport.url)
            raise BrokerUnavailable(f"no Kafka at {servers}: {error}") from None

    async def _pause(self, seconds: float) -> bool:
        await self.sleep(seconds)
        return not self.should_stop

    async def on_thread_stop(self) -> None:
        if self._remade is not None:
            self._remade.watching.cancel()
        await super().on_thread_stop()

    async def on_partitions_assigned(self, assigned: Any, generation_id: int = 0) -> None:
        self._state.refusal = None
        self._progress.begin()
        # Before Faust asks what is committed, and before the worker says that it is ready.
        if self._remade is not None:
            await self._remade.begin()
        await start_at_end(self.client, self._topics_from_end)
        await super().on_partitions_assigned(assigned, generation_id)

    async def begin_anew(self) -> None:
        """Join the group again, and go on at what is committed."""
        await self.call_thread(self._rejoin)

    async def _rejoin(self) -> None:
        rejoin_group(self.client)

    def note_poll(self) -> None:
        """The worker lives, though there is nothing that it would read now."""
        note_poll(self.client)

    @property
    def is_joining(self) -> bool:
        """Whether another assignment is to follow the one that is in force."""
        return is_joining(self.client)

    async def seek_to_committed(self) -> Any:
        return await self.call_thread(self._seek.seek, self.client, self._progress.begin)

    async def fetch(
        self,
        client: Any,
        topic_partitions: set[TP],
        timeout: float | None,  # noqa: ASYNC109 - Faust's
        max_records: int | None,
    ) -> dict[TP, Any]:
        """The next records: interactive ones as far as there are any, then bulk ones."""
        # The worker's thread adds to it and takes from it meanwhile; a copy is made in one step.
        topic_partitions = set(topic_partitions)
        interactive = {tp for tp in topic_partitions if tp.topic in self._interactive_topics}
        bulk = topic_partitions - interactive
        # aiokafka takes an empty set of topic-partitions for all of them.
        if not interactive or not bulk:
            return await self._fetch_of_log(client, topic_partitions, timeout, max_records)
        records = await self._fetch_of_log(client, interactive, 0, max_records)
        if not records:
            return await self._fetch_of_log(client, topic_partitions, timeout, max_records)
        if max_records is not None:
            left = max_records - sum(map(len, records.values()))
            max_records = max(left, round(max_records * BULK_SHARE))
        assignment = assignment_of(client)
        more = await self._fetch_of_log(client, bulk, 0, max_records)
        # Those of an assignment that is over by then are fetched again in the one that has begun.
        return {**records, **more} if assignment_of(client) is assignment else more

    async def _fetch_of_log(
        self,
        client: Any,
        topic_partitions: set[TP],
        timeout_s: float | None,
        max_records: int | None,
    ) -> dict[TP, HandedOut]:
        """Records of the logs that are there now, and how far these were read, noted."""
        fetched = await super().fetch(client, topic_partitions, timeout_s, max_records)
        self._seek.note(client, fetched)
        if not self.consumer.flow_active:
            # Faust lets go of what comes while the flow rests. It flows again after a seek, which
            # may have been before this: nobody would read these any more.
            put_back(client, fetched)
            return {}
        # In turns: all that was fetched of one is more than a slow worker does in half a minute.
        hand_out_later(client, fetched)
        if self._remade is not None:
            fetched = self._remade.without(fetched)
        return self._progress.note(client, self.consumer.app.consumer_generation_id, fetched)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's, which only logs, asked on the worker's loop.

        In the thread meanwhile a topic-partition may have no position for a moment, as after its
        topic was made again, or be no longer assigned; Faust would end the worker.
        """
        with suppress(AssertionError, AttributeError):
            super().verify_event_path(now, tp)

    async def store(self, positions: Mapping[TP, Position]) -> bool:
        if self._remade is not None:
            positions = self._remade.without(positions)
        if not positions:
            return True
        try:
            # aiokafka tries for ever where the topic is gone, and takes commits one by one.
            return await asyncio.wait_for(self._store(positions), COMMIT_TIMEOUT_S)
        except TimeoutError:
            return False

    async def _store(self, positions: Mapping[TP, Position]) -> bool:
        """As Faust commits, which keeps nothing beside an offset."""
        kept = {
            ClientTopicPartition(tp.topic, tp.partition): OffsetAndMetadata(*position)
            for tp, position in positions.items()
            if tp in self.assignment()
        }
        # Another assignment has begun, and aiokafka raises where there is nothing to commit.
        if not kept:
            return False
        try:
            await self.client.commit(kept)
        except CommitFailedError as error:
            if "already rebalanced" not in str(error):
                await self.crash(error)
            return False
        except FencedInstanceIdError:
            # Joining again is refused for the same reason, which is told and ends the worker.
            rejoin_group(self.client)
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker has to learn of it
            await self.crash(error)
            return False
        return True

    def _crash_of(self, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._crashing = asyncio.ensure_future(self.crash(error))
