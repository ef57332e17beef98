"""What a request came to: its answer, or the error that says why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeVar

from streamproc.errors import (
    RequestError,
    RequestFailed,
    RequestRefused,
    ServiceUnavailable,
)
from streamproc.messages.client import ResponseBody

ResultT = TypeVar("ResultT")
_FAILED: Final = ("failed", "deadline", "cancelled")
_ADVICE: Final[Mapping[str, str]] = {
    "cancelled": "ask again",
    "deadline": "give it a longer deadline_ms, or run more workers",
    "failed": "it is kept as a dead letter, which says more: `streamproc dlq show`",
    "too-large": "ask for less at a time, or raise STREAMPROC_MAX_MESSAGE_BYTES",
}


@dataclass(frozen=True, slots=True)
class Answer(Generic[ResultT]):
    """The answer to a request.

    status: partial where members are missing, which `response["members"]` names
    result: of the task (docs/tasks.md)
    response: all of it, as it came (docs/messages.md)
    """

    id: str
    status: Literal["ok", "partial"]
    result: ResultT
    response: ResponseBody


Outcome = Answer[ResultT] | RequestError
"""Of one request among many: its answer, or why there is none."""


def answer_of(response: ResponseBody) -> Answer[Any]:
    """The answer in a response; raises RequestError where it has none."""
    if response["status"] == "error":
        error = response["error"]
        raise error_of(error["type"], error["title"], error["detail"])
    return Answer(response["id"], response["status"], response["result"], response)


def error_of(
    type_: str, title: str, detail: str, *, status: int = 422, retry_after_s: float | None = None
) -> RequestError:
    """The error that a problem is raised as.

    status: of HTTP, which decides where the type is no response's
    """
    if type_ in _ADVICE:
        detail = f"{detail}; {_ADVICE[type_]}"
    if type_ in _FAILED:
        return RequestFailed(type_, title, detail)
    if status == 429 or status >= 500:
        return ServiceUnavailable(type_, title, detail, retry_after_s)
    return RequestRefused(type_, title, detail)
