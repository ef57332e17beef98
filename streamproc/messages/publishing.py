"""publish: the response and the dead letter of a finished request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import get_args

import structlog

from streamproc.clock import Clock
from streamproc.errors import Invalid, TooLarge
from streamproc.messages.cloudevents import Envelope
from streamproc.messages.lane import Lane
from streamproc.messages.outgoing import (
    MAX_KEPT_BYTES,
    dead_letter,
    part_record,
    response_record,
    without_original,
)
from streamproc.messages.parts import HandOver, Note, Part, PartPublisher
from streamproc.messages.problems import to_problem
from streamproc.messages.record import ProducerRecord, Record
from streamproc.messages.reply_address import ReplyAddress, asked_reply
from streamproc.messages.request import InvalidRequest, Request
from streamproc.messages.response import DeadLetterType, Problem, Response

Publish = Callable[[ProducerRecord], Awaitable[None]]
"""Returns once the broker has stored the record; raises TooLarge when its topic rejects it."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ReplyRoute:
    """How the requests of one topic are answered.

    ensemble: answers a request that names none
    reply_topics: topics that a request may name instead of `responses`
    copied_headers: names of headers that go from a request to its response; "*" is all
    max_message_bytes: larger requests are refused
    """

    task: str
    lane: Lane
    ensemble: str
    responses: str
    dead_letters: str
    reply_topics: frozenset[str]
    max_message_bytes: int
    copied_headers: frozenset[str] = frozenset()
    _own: ReplyAddress = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_own", ReplyAddress(self.responses))

    def reply_address(self, record: Record) -> ReplyAddress:
        """Where a record's response goes; raises Invalid when it names a topic it may not."""
        asked = asked_reply(record)
        if asked is None:
            return self._own
        if asked.topic not in self.reply_topics and asked.topic != self.responses:
            raise Invalid(
                "reply topic not allowed",
                "the header that names the topic for the response names one that "
                "STREAMPROC_REPLY_TOPICS does not list, nor the descriptions of topics",
            )
        return asked

    def parts_address(self, record: Record) -> ReplyAddress | None:
        """Where parts of a record's response go; None: nowhere, as it names no topic of its own."""
        asked = self.reply_address(record)
        return None if asked.topic == self.responses else asked


class ResponsePublisher:
    """Publishes responses and dead letters; what is too large is replaced by a smaller record."""

    def __init__(
        self,
        route: ReplyRoute,
        publish: Publish,
        clock: Clock,
        hand_over: HandOver | None = None,
        note_part: Note | None = None,
    ) -> None:
        """hand_over: what parts of answers go by; None: none are published
        note_part: told of each whether it was stored
        """
        self._route = route
        self._publish = publish
        self._clock = clock
        self._hand_over = hand_over
        self._note_part = note_part

    def parts(
        self, record: Record, request: Request
    ) -> PartPublisher | AbstractAsyncContextManager[None]:
        """What publishes parts of the answer, to be left before it is published.

        None where the request names no topic of its own for them. Raises Invalid when it names one
        that it may not.
        """
        to = self._route.parts_address(record)
        if to is None or self._hand_over is None:
            return nullcontext()

        def record_of(part: Part) -> ProducerRecord:
            now_ms, route = self._clock.now_ms(), self._route
            return part_record(record, part, request, route.task, to, now_ms, route.copied_headers)

        return PartPublisher(record_of, self._hand_over, self._note_part)

    async def publish(
        self, record: Record, request: Request | InvalidRequest, response: Response | None
    ) -> Problem | None:
        """Returns once all is stored: the problem of a dead letter, or None when there is none.

        The dead letter is stored first, so that a crash between the two can't lose it.
        """
        problem = to_problem(request.reason) if isinstance(request, InvalidRequest) else None
        if response is not None:
            problem = response.error
        if problem is not None and problem.type not in get_args(DeadLetterType):
            problem = None
        if problem is not None:
            await self._publish_dead_letter(record, problem, response)
        if response is not None:
            await self._publish_response(record, request, response)
        return problem

    async def refuse(
        self,
        record: Record,
        request: Request | InvalidRequest,
        problem: Problem,
        response: Response | None,
    ) -> None:
        """Returns once a record that can't be handled is stored as a dead letter, and answered."""
        await self._publish_dead_letter(record, problem, response)
        if response is not None:
            await self._publish_response(record, request, response)

    async def _publish_dead_letter(
        self, record: Record, problem: Problem, response: Response | None
    ) -> None:
        request_id = response.id if response else None
        letter = dead_letter(record, problem, request_id, self._route.dead_letters)
        log.warning("dead letter", position=record.position, type=problem.type, title=problem.title)
        try:
            await self._publish(letter)
        except TooLarge:
            # A compressed record grows when it is read, and may then be too large for any topic.
            log.warning("dead letter stored without its original", position=record.position)
            await self._publish(without_original(letter))

    async def _publish_response(
        self, record: Record, request: Request | InvalidRequest, response: Response
    ) -> None:
        try:
            address = self._route.reply_address(record)
        except Invalid:
            address = ReplyAddress(self._route.responses)
        envelope = request.envelope
        try:
            await self._publish(self._answer(record, response, envelope, address))
        except TooLarge as reason:
            # Metadata is dropped too: it may be what does not fit.
            problem = Problem("too-large", "answer too large", reason.detail)
            answer = Response(response.id, response.task, "error", error=problem)
            if record.kept_bytes + envelope.size_bytes > MAX_KEPT_BYTES:
                record = replace(record, key=None, headers=())
                envelope = Envelope(envelope.form)
            bare = self._answer(record, answer, envelope, address)
            await self._publish(replace(bare, is_last_resort=True))

    def _answer(
        self, record: Record, response: Response, envelope: Envelope, to: ReplyAddress
    ) -> ProducerRecord:
        copied, now_ms = self._route.copied_headers, self._clock.now_ms()
        return response_record(record, response, envelope, to, now_ms, copied)
