"""What a gateway says where there is no answer: RFC 9457, and one table of HTTP statuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from streamproc.messages.response import ErrorType

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:streamproc:problem:"
RETRY_AFTER_S: Final = 1

OF_RESPONSES: Final[Mapping[ErrorType, int]] = {
    "unreadable": 400,
    "invalid": 422,
    # The model is the server behind the gateway, and it failed.
    "failed": 502,
    "deadline": 504,
    # The request was small enough; what it asked for is not.
    "too-large": 422,
    # Whoever it was that took it back, as where a caller left.
    "cancelled": 499,
}
"""The HTTP status of a response of status `error`, by its type."""

OF_GATEWAY: Final[Mapping[str, tuple[int, str]]] = {
    "not-json": (400, "The body is not what this address takes"),
    "not-http": (400, "This is no HTTP request"),
    "unauthorized": (401, "Who asks is not known"),
    "forbidden": (403, "This may not be asked with this key"),
    "not-found": (404, "There is nothing at this address"),
    "unknown-model": (404, "No such model"),
    "unknown-request": (404, "No such request, or its answer is no longer kept"),
    "method-not-allowed": (405, "This address takes another method"),
    "slow-headers": (408, "The headers did not arrive in time"),
    "slow-body": (408, "The body did not arrive in time"),
    "body-too-large": (413, "The body is too large"),
    "batch-too-large": (413, "Too many requests in one body"),
    "invalid": (422, "invalid request"),
    "key-used-before": (422, "The Idempotency-Key was used for another request"),
    "caller-left": (499, "The caller left"),
    "headers-too-large": (431, "The headers are too large"),
    "too-many-requests": (429, "Too many requests with this key"),
    "key-set-away": (503, "Tokens can't be checked"),
    "kafka-away": (503, "Kafka can't be reached"),
    "nobody-answers": (503, "No worker answers"),
    "busy": (503, "Too much is on its way"),
    "begun-anew": (503, "The text was begun anew"),
    "timed-out": (504, "No answer in time"),
}
"""The HTTP status and the title of each problem that a gateway has of its own, by its type."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one request came to, as HTTP says it."""

    status: int
    body: bytes
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_final(self) -> bool:
        """Whether asking the same again would come to the same."""
        return self.status < 500 and self.status not in (429, 499)


class GatewayProblem(Exception):
    """A request that the gateway itself can't get an answer for.

    name:   of `OF_GATEWAY`
    detail: this occurrence, and what to do; nothing of a text
    retry_after_s: when it may work, where waiting helps
    """

    def __init__(
        self,
        name: str,
        detail: str,
        *,
        retry_after_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{name}: {detail}")
        self.name = name
        # Names of fields are quoted, and JSON has halves of characters.
        self.detail = detail.encode("utf-8", "replace").decode()
        self.status, self.title = OF_GATEWAY[name]
        self.headers = dict(headers or {})
        if retry_after_s is not None:
            self.headers["Retry-After"] = str(max(1, round(retry_after_s)))

    @property
    def outcome(self) -> Outcome:
        """The same as an HTTP response."""
        body = problem_body(self.name, self.title, self.status, self.detail)
        return Outcome(self.status, orjson.dumps(body), MEDIA_TYPE, self.headers)


class AnsweredWithError(GatewayProblem):
    """A worker's response of status `error`."""

    def __init__(self, error: Mapping[str, str], response: bytes) -> None:
        self.name, self.title, self.detail = (error[field] for field in ("type", "title", "detail"))
        super(GatewayProblem, self).__init__(f"{self.title}: {self.detail}")
        self.status = OF_RESPONSES[self.name]  # type: ignore[index]
        self.headers = {}
        self._response = response

    @property
    def outcome(self) -> Outcome:
        """Its problem, with the response itself in it, byte for byte."""
        response = orjson.Fragment(self._response)
        said = problem_body(self.name, self.title, self.status, self.detail, response=response)
        return Outcome(self.status, orjson.dumps(said), MEDIA_TYPE)


def problem_body(name: str, title: str, status: int, detail: str, **more: Any) -> dict[str, Any]:
    """The members of RFC 9457, and further ones."""
    said = {"type": TYPE_PREFIX + name, "title": title, "status": status, "detail": detail}
    return said | more
