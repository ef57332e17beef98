"""From an error to the problem that a response and a dead letter report."""

from __future__ import annotations

from streamproc.errors import (
    AnswerTooLarge,
    Cancelled,
    DeadlineExceeded,
    Invalid,
    QuorumNotMet,
    Unreadable,
)
from streamproc.messages.response import Problem


def to_problem(reason: Invalid | QuorumNotMet) -> Problem:
    """The problem that is reported for an error."""
    if isinstance(reason, QuorumNotMet):
        return Problem("failed", "too few members answered", str(reason))
    if isinstance(reason, DeadlineExceeded):
        return Problem("deadline", reason.title, reason.detail)
    if isinstance(reason, Cancelled):
        return Problem("cancelled", reason.title, reason.detail)
    if isinstance(reason, AnswerTooLarge):
        return Problem("too-large", reason.title, reason.detail)
    if isinstance(reason, Unreadable):
        return Problem("unreadable", reason.title, reason.detail)
    return Problem("invalid", reason.title, reason.detail)
