"""Offsets that are of another log than the one which is there now.

A topic that is deleted and made again, a cluster that was restored or mirrored, a log cut short by
an unclean election: the group's committed offset says nothing about what lies there. Consuming
goes on at the beginning then, as `auto.offset.reset` is `earliest`: the beginning is committed and
the group joined again, so that everything that counts offsets begins anew by the usual way. As an
assignment begins, committing is enough.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Set
from contextlib import suppress
from typing import Any, Final, TypeVar

import structlog
from aiokafka.errors import CommitFailedError, KafkaError
from aiokafka.structs import OffsetAndMetadata

from streamproc.kafka.consumer_state import ConsumerState
from streamproc.kafka.log_ids import is_of_another_log, log_beside, with_log
from streamproc.kafka.private_api import (
    FetchRequest,
    assignment_of,
    client_of,
    commit_as_member,
    committed_of,
    rejoin_group,
    replace_fetch_request,
)
from streamproc.kafka.topic_ids import topic_ids
from streamproc.logs.redaction import describe_error
from streamproc.messages.record import TopicPartition

_log = structlog.get_logger(__name__)

LOOK_INTERVAL_S: Final = 2.0
LOOK_TIMEOUT_S: Final = 10.0
TRY_AGAIN_S: Final = 0.5
T = TypeVar("T")


class RemadeLogs:
    """Watches the topics of an aiokafka consumer that has started, in its loop.

    watching: the task that looks; to be cancelled by the owner
    """

    def __init__(self, consumer: Any, state: ConsumerState) -> None:
        self._consumer = consumer
        self._state = state
        self._ids: dict[str, str] = {}
        self._out_of_range: dict[Any, int] = {}
        self._begin_again: set[Any] = set()
        self._told: dict[Any, tuple[int, int]] = {}
        self._found = asyncio.Event()
        replace_fetch_request(consumer, self._noticing_resets)
        self.watching = asyncio.create_task(self._watch())

    async def begin(self) -> None:
        """Another assignment begins, at what is committed once this has returned."""
        self._begin_again.clear()
        self._state.remade = frozenset()
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                await self._leave_other_logs()
        except (CommitFailedError, TimeoutError) as error:
            # What the group has moved on from begins with this again.
            _log.warning("looking for topics made again failed", error=describe_error(error))
        self._found.set()

    async def _leave_other_logs(self) -> None:
        """Commit the beginning where what is committed is of a topic that is no more.

        Where a broker has just left that is asked for it, another one is soon there. Raises
        CommitFailedError where the group has moved on.
        """
        while True:
            try:
                return await self._commit_beginnings()
            except CommitFailedError:
                raise
            except KafkaError as error:
                _log.warning("looking for topics made again", error=describe_error(error))
                await asyncio.sleep(TRY_AGAIN_S)

    async def _commit_beginnings(self) -> None:
        ours = self._consumer.assignment()
        ids = await topic_ids(client_of(self._consumer), {tp.topic for tp in ours})
        if not ids:
            return
        again = self._made_again(ids)
        other = set()
        for tp, at in (await committed_of(self._consumer, ours)).items():
            log_id = ids.get(tp.topic)
            is_unknown = tp.topic in again and log_beside(at.metadata) != log_id
            if is_unknown or is_of_another_log(at.metadata, log_id):
                other.add(tp)
        for topic in sorted({tp.topic for tp in other}):
            _log.error("topic was recreated, reading from its beginning", topic=topic)
        if other:
            firsts = await self._consumer.beginning_offsets(other)
            await commit_as_member(self._consumer, _positions(firsts, ids))
        self._know(ids)

    def _made_again(self, ids: Mapping[str, str]) -> set[str]:
        """The topics that have another id than when they were looked for last."""
        return {name for name, known in self._ids.items() if ids.get(name, known) != known}

    def _know(self, ids: Mapping[str, str]) -> None:
        self._ids |= ids
        self._state.topic_ids = dict(self._ids)

    def without(self, by_topic_partition: Mapping[Any, T]) -> dict[Any, T]:
        """The same without what is of a log that is no more, or not begun at its beginning yet."""
        if not self._begin_again:
            return dict(by_topic_partition)
        return {
            tp: value for tp, value in by_topic_partition.items() if tp not in self._begin_again
        }

    def _noticing_resets(self, fetch: FetchRequest) -> FetchRequest:
        """aiokafka resets a position that is out of range by itself, and tells nobody."""

        async def fetch_and_look(assignment: Any, node_id: Any, request: Any) -> Any:
            fetched = await fetch(assignment, node_id, request)
            asked = {
                (topic, number): offset
                for topic, topic_partitions in request.topics
                for number, offset, *_ in topic_partitions
            }
            for tp in assignment.tps if assignment.active else ():
                is_new = tp in asked and tp not in self._begin_again
                if is_new and assignment.state_value(tp).awaiting_reset:
                    self._out_of_range[tp] = asked[tp]
                    self._found.set()
            return fetched

        return fetch_and_look

    async def _watch(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._found.wait(), LOOK_INTERVAL_S)
            self._found.clear()
            if not self._consumer.assignment():
                continue
            # aiokafka tells of each of them once, and of others meanwhile.
            refused, self._out_of_range = self._out_of_range, {}
            try:
                # aiokafka would ask for ever of a topic that is gone again.
                async with asyncio.timeout(LOOK_TIMEOUT_S):
                    await self._look(refused)
            except (KafkaError, TimeoutError) as error:
                self._out_of_range = {**refused, **self._out_of_range}
                _log.warning("resetting offsets failed", error=describe_error(error))

    async def _look(self, refused: Mapping[Any, int]) -> None:
        """Begin anew where that is due. Raises KafkaError when nothing can be changed now.

        refused: offsets that the broker had no records at
        """
        begun = assignment_of(self._consumer)
        ours = self._consumer.assignment()
        ids = await topic_ids(client_of(self._consumer), {tp.topic for tp in ours})
        remade = self._made_again(ids)
        for topic in sorted(remade):
            _log.error("topic was recreated, reading from its beginning", topic=topic)
        asked = {tp: at for tp, at in refused.items() if tp in ours and tp.topic not in remade}
        beyond = await self._beyond_the_end(asked)
        chosen = beyond.union(tp for tp in ours if tp.topic in remade)
        if await self._began_at_beginning(chosen, ids, begun):
            self._know(ids)

    async def _beyond_the_end(self, asked: Mapping[Any, int]) -> set[Any]:
        firsts = await self._consumer.beginning_offsets(asked) if asked else {}
        for tp, first in firsts.items():
            where: dict[str, Any] = {
                "topic_partition": f"{tp.topic}:{tp.partition}",
                "offset": asked[tp],
                "begins_at": first,
            }
            # The same offset is asked for once more by another assignment before the next commit.
            if self._told.get(tp) == (asked[tp], first):
                continue
            self._told[tp] = asked[tp], first
            if asked[tp] >= first:
                _log.error("offset out of range, reading from the beginning", **where)
            else:
                _log.error("requests deleted by retention before they were answered", **where)
        return {tp for tp, first in firsts.items() if asked[tp] >= first}

    async def _began_at_beginning(
        self, chosen: Set[Any], ids: Mapping[str, str], begun: Any
    ) -> bool:
        """Whether the beginning of these is committed now, if there are any.

        begun: the assignment in which they were chosen; another one looks by itself as it begins,
            and what has been committed in it is of answers that would be given again
        """
        if assignment_of(self._consumer) is not begun:
            return False
        if not chosen:
            return True
        self._begin_again |= chosen
        self._state.remade = frozenset(
            TopicPartition(tp.topic, tp.partition) for tp in self._begin_again
        )
        firsts = await self._consumer.beginning_offsets(chosen)
        if assignment_of(self._consumer) is not begun:
            return False
        await self._consumer.commit(_positions(firsts, ids))
        # What was refused before this commit is of a position that the next assignment has not.
        for tp in chosen:
            self._told.pop(tp, None)
            self._out_of_range.pop(tp, None)
        rejoin_group(self._consumer)
        return True


def _positions(firsts: Mapping[Any, int], ids: Mapping[str, str]) -> dict[Any, OffsetAndMetadata]:
    """What to commit for reading on at these offsets, of the logs that are there now."""
    return {
        tp: OffsetAndMetadata(first, with_log("", ids.get(tp.topic)))
        for tp, first in firsts.items()
    }
