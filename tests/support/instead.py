"""What is sent instead of a record that its topic refuses."""

from __future__ import annotations

from streamproc.errors import Invalid
from streamproc.messages.record import ProducerRecord


def letter(reason: Invalid) -> ProducerRecord:
    """A dead letter that says why."""
    return ProducerRecord("dead", None, reason.title.encode())
