"""From an error to the fault that a response and a dead letter carry."""

from __future__ import annotations

from streamproc.errors import AnswerTooLarge, DeadlineExceeded, Invalid, QuorumNotMet
from streamproc.messages.decoding import Unreadable
from streamproc.messages.response import Fault


def fault_of(reason: Invalid | QuorumNotMet) -> Fault:
    """The fault to answer with for an error."""
    if isinstance(reason, QuorumNotMet):
        return Fault("failed", "too few members answered", str(reason))
    if isinstance(reason, DeadlineExceeded):
        return Fault("deadline", reason.title, reason.detail)
    if isinstance(reason, AnswerTooLarge):
        return Fault("too-large", reason.title, reason.detail)
    if isinstance(reason, Unreadable):
        return Fault("unreadable", reason.title, reason.detail)
    return Fault("invalid", reason.title, reason.detail)
