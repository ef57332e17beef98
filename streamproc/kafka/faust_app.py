"""The Faust application: settings that keep offsets in our hands, one agent a request topic."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from typing import Any

import faust
from faust.app import BootStrategy
from faust.types import EventT, StreamT
from mode.supervisors import OneForOneSupervisor

from streamproc.kafka.consumer_state import ConsumerState
from streamproc.kafka.faust_consumer import adapt_consumer
from streamproc.kafka.private_api import wait_for_kafka
from streamproc.kafka.security import bootstrap_servers, faust_credentials
from streamproc.messages.record import Record
from streamproc.settings import Settings

Accept = Callable[[EventT], None]

# Faust reads its settings from the environment unless given another mapping, and takes an empty
# one for none.
_NO_ENVIRONMENT = {"": ""}


class _Boot(BootStrategy):  # type: ignore[misc]
    # Nothing is ever sent by Faust's own: it would be a connection for nothing, and where the
    # brokers go away just then the app would fail to start.
    enable_kafka_producer = False


class _App(faust.App):  # type: ignore[misc]
    BootStrategy = _Boot
    _first_crash: BaseException | None = None

    async def on_first_start(self) -> None:
        """Make no folders: a worker keeps nothing on disk."""

    @property
    def crash_reason(self) -> BaseException | None:
        """What it crashed by first; a part that is cancelled for that may crash by it in turn."""
        return self._first_crash

    @crash_reason.setter
    def crash_reason(self, reason: BaseException | None) -> None:
        if reason is None or self._first_crash is None:
            self._first_crash = reason


class AgentSupervisor(OneForOneSupervisor):  # type: ignore[misc]
    """Begins an agent again that has ended, unless its app is to stop.

    Faust takes an agent that is cancelled before it is told to stop for one to begin again. One
    that was begun then is told nothing any more, and the app waits for it without end.
    """

    async def start_service(self, service: Any) -> None:
        """For the first time, or because it is found not to run."""
        if not service.agent.app.should_stop:
            await super().start_service(service)

    async def restart_service(self, service: Any) -> None:
        """One that has ended."""
        if not service.agent.app.should_stop:
            await super().restart_service(service)


def build_app(
    settings: Settings,
    accept: Mapping[str, Accept],
    state: ConsumerState,
    interactive_topics: Collection[str] = (),
    topics_from_end: Collection[str] = (),
) -> faust.App:
    """An app that hands every event of a topic to `accept[topic]`, at once and on the loop.

    An event is what a poll has brought of a topic-partition; see `polled_records`.

    state: kept up to date by its consumer
    interactive_topics: whose events come before those of the others that wait
    topics_from_end: that are read from their end where the group has committed nothing of them

    Offsets are not acknowledged to Faust, whose bookkeeping commits past unfinished events
    (faust-streaming#606): topics are made with `acks=False`, and the worker commits by itself.
    """
    app = _App(
        settings.group_id,
        env=_NO_ENVIRONMENT,
        broker=[f"kafka://{server}" for server in bootstrap_servers(settings)],
        broker_credentials=faust_credentials(settings),
        broker_client_id=settings.group_id,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 6,
        broker_request_timeout=max(60.0, settings.session_timeout_s * 2),
        broker_max_poll_interval=300.0,
        # So many of one topic-partition before the next one has its turn.
        broker_max_poll_records=64,
        broker_commit_interval=1.0,
        agent_supervisor=AgentSupervisor,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=settings.group_instance_id,
        consumer_metadata_max_age_ms=5000,
        # Never to be filled: Faust sleeps a second once every topic-partition is held back by it.
        # Bytes are bounded all the same, by what one poll brings and the lanes' budgets.
        stream_buffer_maxsize=4096,
        stream_wait_empty=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        store="memory://",
        autodiscover=False,
        key_serializer="raw",
        value_serializer="raw",
    )
    adapt_consumer(app, state, interactive_topics, topics_from_end)
    wait_for_kafka(app)
    for name, accept_event in accept.items():
        topic = app.topic(
            name, key_serializer="raw", value_serializer="raw", acks=False, allow_empty=True
        )
        app.agent(topic, name=f"streamproc.{name}")(_taking(accept_event))
    return app


def _taking(accept: Accept) -> Callable[[StreamT], Coroutine[Any, Any, None]]:
    async def take(stream: StreamT) -> None:
        # Faust acknowledges each event as it goes on to the next, which for topics with acks=False
        # does nothing; noack_take would wait for a time-out, or wake up twice for every event.
        async for event in stream.events():
            accept(event)

    return take


def polled_records(event: EventT) -> Iterator[Record]:
    """The records of an event, in order."""
    message: Any = event.message
    for one in message.records:
        yield Record(
            topic=one.topic,
            topic_partition=one.partition,
            offset=one.offset,
            timestamp_ms=one.timestamp or 0,
            key=one.key,
            value=one.value,
            headers=tuple(one.headers or ()),
        )
