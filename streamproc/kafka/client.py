"""Asking requests over Kafka and awaiting their responses."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing
from types import TracebackType
from typing import Any, Self, cast

import orjson
from aiokafka import AIOKafkaConsumer

from streamproc.clock import Clock, SystemClock
from streamproc.errors import OperatorError, SettingsError
from streamproc.kafka.background import ended
from streamproc.kafka.cancels import CancelPublisher
from streamproc.kafka.producer import Producer
from streamproc.kafka.topic_reader import reader, topic_partitions_of
from streamproc.kafka.topics import load_topics
from streamproc.messages.client import ResponseBody
from streamproc.messages.json_spans import with_members
from streamproc.messages.lane import Lane
from streamproc.messages.part_reader import PartReader, TextPart, is_part, part_of, text_of
from streamproc.messages.parts import Part
from streamproc.messages.record import Headers, ProducerRecord
from streamproc.messages.reply_address import REPLY_TOPIC, SPRING_CORRELATION_ID
from streamproc.messages.streaming_request import with_parts
from streamproc.messages.strict_json import parse
from streamproc.settings import Settings

_Answer = asyncio.Future[tuple[ResponseBody, bytes]]


class RequestClient:
    """Asks on one topic, reads answers from another; an asynchronous context manager.

    `RequestClient.of_task` knows the topics that `topics/` describes; others are given outright.

    reply_topic:      one of STREAMPROC_REPLY_TOPICS, which answers come by instead
    answer_timeout_s: the longest that nothing at all may be answered while somebody waits
    limits:           the most bytes a record may have, by topic
    cancels:          the topic that takes requests back whose caller stops waiting; None: nothing
                      does, and nothing takes back one whose `kafka_correlationId` is the caller's
    Its ids begin with a prefix of its own, so that runs at the same time don't mix; what tells
    your requests apart belongs into `metadata`, which is handed back.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        requests_topic: str,
        responses_topic: str,
        reply_topic: str | None = None,
        answer_timeout_s: float = 60.0,
        limits: Mapping[str, int] | None = None,
        cancels: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self.requests_topic = requests_topic
        self._responses_topic = reply_topic or responses_topic
        self._named: Headers = ((REPLY_TOPIC, reply_topic.encode()),) if reply_topic else ()
        self._answer_timeout_s = answer_timeout_s
        self._producer = Producer(settings, self._clock, limits=limits)
        self._cancels = CancelPublisher(cancels, self._producer.hand_over)
        self._waiting: dict[str, _Answer] = {}
        self._streams: dict[str, asyncio.Queue[Part | None]] = {}
        self._heard_at_s = 0.0
        self._asked = 0
        self._answered = 0
        self._broken: OperatorError | None = None
        self._open = AsyncExitStack()
        self.prefix = uuid.uuid4().hex[:12]

    @classmethod
    def of_task(
        cls,
        settings: Settings,
        task: str = "text-classification",
        lane: Lane = Lane.INTERACTIVE,
        *,
        reply_topic: str | None = None,
        answer_timeout_s: float = 60.0,
    ) -> Self:
        """A client of the topics that a task has; raises TopicsError when it has none."""
        catalogue = load_topics(settings.topics_dir)
        topic = catalogue.request_topic(task, lane)
        return cls(
            settings,
            requests_topic=topic.name,
            responses_topic=topic.responses,
            reply_topic=reply_topic,
            answer_timeout_s=answer_timeout_s,
            limits=catalogue.limits(settings),
            cancels=catalogue.cancels_topic(),
        )

    async def __aenter__(self) -> Self:
        """Raises OperatorError when no broker answers, TopicsError when a topic is missing."""
        async with AsyncExitStack() as opening:
            consumer = await opening.enter_async_context(reader(self._settings))
            await topic_partitions_of(consumer, self.requests_topic)
            answers = await topic_partitions_of(consumer, self._responses_topic)
            if self._cancels.topic not in await consumer.topics():
                self._cancels.topic = None
            consumer.assign(answers)
            # Taken before the first request is sent, or an answer could come before them.
            for tp, end in (await consumer.end_offsets(answers)).items():
                consumer.seek(tp, end)
            await self._producer.start()
            opening.push_async_callback(self._producer.stop)
            opening.push_async_callback(self._cancels.close)
            listening = asyncio.create_task(self._listen(consumer))
            opening.push_async_callback(ended, listening)
            self._open = opening.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._open.aclose()

    async def ask(
        self, body: Mapping[str, Any], *, key: bytes | None = None, headers: Headers = ()
    ) -> ResponseBody:
        """The response to a request, under an `id` of the client's own.

        Raises as `ask_json`.
        """
        response, _ = await self.ask_json(orjson.dumps(body), key=key, headers=headers)
        return response

    async def ask_json(
        self, body: bytes, *, key: bytes | None = None, headers: Headers = ()
    ) -> tuple[ResponseBody, bytes]:
        """The response to one request, and its bytes; the caller bounds how many are asked at once.

        body: a JSON object as any client would send it, whose bytes stay as they are, but for
            `id`: that is the client's own, and is set here
        key:  by default the id, which spreads requests over topic-partitions
        Where the caller stops waiting, workers are told that nobody does any more.
        Raises OperatorError when nobody answers, TooLarge when the topic does not take the record.
        """
        return await self._answer(self._next_id(), body, key, headers)

    async def stream(
        self, body: Mapping[str, Any], *, key: bytes | None = None, headers: Headers = ()
    ) -> AsyncGenerator[TextPart | ResponseBody, None]:
        """The parts of a text as it is written, and last the response to its request.

        Raises as `stream_json`.
        """
        value = orjson.dumps(body)
        async with aclosing(self.stream_json(value, key=key, headers=headers)) as parts:
            async for part in parts:
                yield part

    async def stream_json(
        self, body: bytes, *, key: bytes | None = None, headers: Headers = ()
    ) -> AsyncGenerator[TextPart | ResponseBody, None]:
        """The parts of a text as it is written, and last the response to its request.

        body: of a task that writes, as `ask_json` takes it; `params.stream` is set here
        Raises as `ask_json`, and SettingsError where the client has no `reply_topic`.
        """
        if not self._named:
            raise SettingsError(
                "parts of a text come only by a topic of STREAMPROC_REPLY_TOPICS: make the client "
                "with reply_topic="
            )
        request_id, parts = self._next_id(), asyncio.Queue[Part | None]()
        self._streams[request_id] = parts
        answering = asyncio.create_task(self._answer(request_id, with_parts(body), key, headers))
        answering.add_done_callback(lambda _: parts.put_nowait(None))
        try:
            reader = PartReader()
            while (part := await parts.get()) is not None:
                if text := reader.take(part):
                    yield TextPart(text)
            response, _ = await answering
            if "result" in response and (last := reader.end(text_of(response))):
                yield last
            yield response
        finally:
            self._streams.pop(request_id, None)
            answering.cancel()

    def _next_id(self) -> str:
        self._asked += 1
        return f"{self.prefix}-{self._asked - 1}"

    async def _answer(
        self, request_id: str, body: bytes, key: bytes | None, headers: Headers
    ) -> tuple[ResponseBody, bytes]:
        if self._broken is not None:
            raise self._broken
        if not self._waiting:
            self._heard_at_s = self._clock.monotonic_s()
        value = with_members(body, {"id": orjson.dumps(request_id)})
        answer: _Answer = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = answer
        correlation_id = uuid.uuid4().bytes
        # What a caller names by it may be more than this one request.
        is_cancellable = self._cancels.topic is not None and all(
            name != SPRING_CORRELATION_ID for name, _ in headers
        )
        if is_cancellable:
            headers = (*headers, (SPRING_CORRELATION_ID, correlation_id))
        record = ProducerRecord(
            self.requests_topic, key or request_id.encode(), value, (*headers, *self._named)
        )
        sending = asyncio.create_task(self._producer.send(record))
        try:
            # With the broker away, sending goes on for ever, and the answer is what gives up.
            either: set[asyncio.Future[Any]] = {sending, answer}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                sending.result()
            return await answer
        except asyncio.CancelledError:
            if is_cancellable:
                self._cancels.publish(correlation_id)
            raise
        finally:
            sending.cancel()
            self._waiting.pop(request_id, None)

    async def _listen(self, consumer: AIOKafkaConsumer) -> None:
        try:
            while True:
                batches = await consumer.getmany(timeout_ms=200, max_records=500)
                for messages in batches.values():
                    for message in messages:
                        self._hear(message.value, tuple(message.headers))
                waited_s = self._clock.monotonic_s() - self._heard_at_s
                if self._waiting and waited_s > self._answer_timeout_s:
                    self._fail(self._nobody())
        except Exception as error:  # noqa: BLE001 - whoever waits must learn of it
            self._broken = OperatorError(f"reading {self._responses_topic} failed: {error}")
            self._fail(self._broken)

    def _hear(self, value: bytes | None, headers: Headers) -> None:
        value = value or b"null"
        try:
            response = parse(value)
        except orjson.JSONDecodeError:
            return
        # Others' responses come by the same topic, and ours may come twice.
        found = response.get("id") if isinstance(response, dict) else None
        answer = self._waiting.get(found) if isinstance(found, str) else None
        if answer is not None and is_part(headers):
            self._heard_at_s = self._clock.monotonic_s()
            if found in self._streams:
                self._streams[found].put_nowait(part_of(response))
            return
        if answer is not None and not answer.done():
            self._answered += 1
            self._heard_at_s = self._clock.monotonic_s()
            answer.set_result((cast(ResponseBody, response), value))

    def _fail(self, error: OperatorError) -> None:
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(error)

    def _nobody(self) -> OperatorError:
        waited = f"{self._answer_timeout_s:g} s"
        if self._answered == 0:
            return OperatorError(
                f"no worker answers on {self.requests_topic}: nothing came to "
                f"{self._responses_topic} for {waited}; is a `streamproc worker` running with "
                f"STREAMPROC_KAFKA_BOOTSTRAP_SERVERS={self._settings.kafka_bootstrap_servers}?"
            )
        return OperatorError(
            f"answers stopped coming: {self._answered} came, then none of {len(self._waiting)} "
            f"for {waited}; see the worker's log and its /v2/health/ready"
        )
