"""What all addresses of a gateway share: who asks Kafka, what is kept, which tasks there are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from fastapi import Request, Response
from starlette.types import Receive

from streamproc.clock import Clock
from streamproc.kafka.reply_client import Replies
from streamproc.kafka.topics import RequestTopic, TopicCatalogue
from streamproc.messages.lane import Lane
from streamproc.messages.outgoing import TRACE_HEADERS
from streamproc.messages.record import Headers
from streamproc.settings.gateway import GatewaySettings
from streamproc.web.gateway.asking import Asker
from streamproc.web.gateway.http_responses import http_response, pending_response
from streamproc.web.gateway.kept import KeptRequests, Scope
from streamproc.web.gateway.models import NamedModels
from streamproc.web.gateway.preferences import Preferences, read_preferences
from streamproc.web.gateway.problems import RETRY_AFTER_S, GatewayProblem, Outcome
from streamproc.web.gateway.security.limits import Caller, RateLimits

MAX_KEY_CHARACTERS: Final = 255
_SLACK_S: Final = 0.05

Result = TypeVar("Result")
Work = Callable[[float], Coroutine[Any, Any, Outcome]]
"""Comes to an outcome within so many seconds."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """Shared by all requests of one gateway."""

    settings: GatewaySettings
    topics: TopicCatalogue
    client: Replies
    asker: Asker
    kept: KeptRequests
    models: NamedModels
    limits: RateLimits
    clock: Clock

    def admit(self, request: Request, bodies: Sequence[bytes]) -> None:
        """Count requests against their caller's limits; raises GatewayProblem."""
        self.limits.take(caller_of(request), bodies)

    def tasks(self) -> list[str]:
        """The tasks that have topics."""
        return list(dict.fromkeys(topic.task for topic in self.topics.requests()))

    def topic(self, task: str, lane: Lane = Lane.INTERACTIVE) -> RequestTopic:
        """Where a task's requests go; raises TopicsError."""
        return self.topics.request_topic(task, lane)

    def wait_s(self, preferences: Preferences) -> float:
        """How long a caller waits."""
        asked = preferences.wait_s
        return min(self.settings.wait_s if asked is None else asked, self.settings.max_wait_s)

    async def answer(self, request: Request, body: bytes, work: Work) -> Response:
        """What a request came to, now or later, as its headers ask."""
        preferences = read_preferences(request.headers.getlist("prefer"))
        key = request.headers.get("idempotency-key")
        if key is not None and len(key) > MAX_KEY_CHARACTERS:
            raise GatewayProblem(
                "invalid", f"Idempotency-Key: at most {MAX_KEY_CHARACTERS} characters"
            )
        if preferences.responds_async or key:
            return await self._kept_answer(request, body, work, preferences, key)
        outcome = await while_connected(request.receive, work(self.wait_s(preferences)))
        return http_response(outcome, preferences)

    async def _kept_answer(
        self, request: Request, body: bytes, work: Work, preferences: Preferences, key: str | None
    ) -> Response:
        owner = caller_of(request).name
        scope: Scope | None = (owner, request.url.path, key) if key else None
        kept = self.kept.used(scope, body) if scope else None
        wait_s = self.wait_s(preferences)
        if kept is None:
            # Who comes back later finds the answer as long as such answers are kept.
            takes_s = self.settings.keep_s if preferences.responds_async else wait_s
            kept = self.kept.start(work(takes_s), owner=owner, body=body, scope=scope)
        if not preferences.responds_async:
            # What did not come in time is told by the work itself, which knows why.
            wait_s += _SLACK_S
        elif preferences.wait_s is None:
            wait_s = 0.0
        return self.kept_response(
            kept.id,
            await while_connected(request.receive, kept.outcome(wait_s)),
            preferences,
            comes_back=preferences.responds_async,
        )

    def kept_response(
        self,
        request_id: str,
        outcome: Outcome | None,
        preferences: Preferences,
        *,
        comes_back: bool,
    ) -> Response:
        """What a kept request came to; where that is not known yet, where it will be found."""
        if outcome is not None:
            return http_response(outcome, preferences)
        if not comes_back:
            raise GatewayProblem(
                "timed-out",
                "the request that came first with this Idempotency-Key is on its way; come again "
                "with the same key",
                retry_after_s=RETRY_AFTER_S,
            )
        return pending_response(request_id, preferences)


def caller_of(request: Request) -> Caller:
    """Whose a request is; nobody's where callers need no key."""
    caller = getattr(request.state, "caller", None)
    return caller if isinstance(caller, Caller) else Caller()


def carried_headers(request: Request) -> Headers:
    """The headers that go through Kafka, to the worker and to whoever reads the responses."""
    found = ((name, request.headers.get(name)) for name in TRACE_HEADERS)
    return tuple((name, value.encode("latin-1")) for name, value in found if value is not None)


async def while_connected(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`, which is cancelled when the caller goes away, and has ended behind it.

    receive: of a request whose body was read
    Raises GatewayProblem where the caller left, which only metrics will see.
    """
    working, leaving = asyncio.create_task(work), asyncio.create_task(_left(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise GatewayProblem("caller-left", "nobody is there to read the answer")
    finally:
        working.cancel()
        leaving.cancel()
        # What the work holds can be closed by nobody else as long as it runs.
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
