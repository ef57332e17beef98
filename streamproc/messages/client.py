"""What every client can do, and what it hands back, whether Kafka lies between or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Required, TypedDict

from streamproc.messages.record import Headers
from streamproc.messages.response import ErrorType, MemberStatus, Status
from streamproc.profile import FewerMembers


class ErrorBody(TypedDict):
    """Why a request got no answer."""

    type: ErrorType
    title: str
    detail: str


class MemberBody(TypedDict, total=False):
    """What became of one member; `result` only where `params.return_members` asked for it."""

    name: Required[str]
    version: Required[str]
    status: Required[MemberStatus]
    result: dict[str, Any]


class ResponseBody(TypedDict, total=False):
    """A response as its JSON has it (docs/messages.md).

    A field that says nothing is left out: `result` of an error, `error` of an answer.
    """

    id: Required[str]
    task: Required[str]
    status: Required[Status]
    ensemble: str
    manifest: str
    result: dict[str, Any]
    members: list[MemberBody]
    agreement: float
    entropy: float
    coverage: dict[str, Any]
    profile: FewerMembers
    timing: dict[str, float]
    usage: dict[str, int]
    error: ErrorBody
    warnings: list[str]
    experiment: dict[str, str]
    metadata: Any


class Client(Protocol):
    """Asks requests of one task; `RequestClient`, `LocalClient` and `testing.ScriptedClient` do."""

    async def ask(
        self, body: Mapping[str, Any], *, key: bytes | None = None, headers: Headers = ()
    ) -> ResponseBody:
        """The response to one request.

        body: the fields of a request, such as {"text": "..."}
        A request that can't be answered has a response too, of status `error`.
        """
        ...
