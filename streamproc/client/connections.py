"""How workers are reached: what a client is made with, and what it then asks by."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from streamproc.messages.client import ResponseBody
from streamproc.messages.lane import Lane
from streamproc.messages.part_reader import TextPart
from streamproc.settings import Settings, read_settings


class Transport(Protocol):
    """An open connection; many requests at a time."""

    async def ask(self, body: Mapping[str, Any]) -> ResponseBody:
        """The response to a request, of any status; raises RequestError where none comes."""
        ...

    def stream(self, body: Mapping[str, Any]) -> AsyncGenerator[TextPart | ResponseBody, None]:
        """The parts of a text as it is written, and last the response; raises as `ask`."""
        ...


class Connection(Protocol):
    """Opens a transport for the requests of one task."""

    def open(self, task: str) -> AbstractAsyncContextManager[Transport]:
        """Raises OperatorError where it can't be opened."""
        ...


@dataclass(frozen=True, slots=True)
class OverKafka:
    """Through the topics, without a gateway.

    settings: brokers and the folder of topics among them; by default STREAMPROC_*
    lane: bulk gives way to interactive requests
    reply_topic: what texts in parts come by; by default the topic of kind `replies` that is
        described, as nlp.replies.v1
    timeout_s: the longest that nothing at all may be answered while somebody waits
    """

    settings: Settings = field(default_factory=read_settings)
    lane: Lane = Lane.INTERACTIVE
    reply_topic: str | None = None
    timeout_s: float = 60.0

    def open(self, task: str) -> AbstractAsyncContextManager[Transport]:
        """Raises TopicsError where a topic is missing, OperatorError where no broker answers."""
        # Each transport brings its library, and most programs use one of them.
        from streamproc.client.kafka_transport import KafkaTransport  # noqa: PLC0415

        return KafkaTransport.opened(
            self.settings, task, self.lane, self.reply_topic, self.timeout_s
        )


@dataclass(frozen=True, slots=True)
class OverHttp:
    """Through a gateway (`streamproc gateway`).

    url: of the gateway, as http://127.0.0.1:8080
    api_key: where the gateway asks for one
    lane: bulk gives way to interactive requests
    timeout_s: the longest that an answer may take; the gateway has a limit of its own
    headers: sent with every request
    """

    url: str
    api_key: str | None = field(default=None, repr=False)
    lane: Lane = Lane.INTERACTIVE
    timeout_s: float = 60.0
    headers: Mapping[str, str] = field(default_factory=dict)

    def open(self, task: str) -> AbstractAsyncContextManager[Transport]:
        """Nothing is asked yet."""
        from streamproc.client.http_transport import HttpTransport  # noqa: PLC0415 - as above

        return HttpTransport.opened(
            f"{self.url.rstrip('/')}/v1/{task}?lane={self.lane.name.lower()}",
            {**self.headers, **self._authorization},
            self.timeout_s,
        )

    @property
    def _authorization(self) -> Mapping[str, str]:
        return {} if self.api_key is None else {"Authorization": f"Bearer {self.api_key}"}
