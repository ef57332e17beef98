"""How large a record each kind of topic takes."""

from __future__ import annotations

from typing import Literal

TopicKind = Literal[
    "requests",
    "bulk",
    "responses",
    "dlq",
    "replies",
    "feedback",
    "state",
    "models",
    "experiments",
    "exposures",
    "cancels",
]
_HEADROOM_BYTES = 64 * 1024


def topic_max_bytes(kind: TopicKind, max_message_bytes: int) -> int:
    """`max.message.bytes` of a topic: twice the largest request that is answered, and some.

    So an oversized request arrives and is answered rather than vanishing at its producer. A dead
    letter holds a whole such request and headers of its own, so its topic takes more.
    """
    if kind == "cancels":
        # Each is an identifier.
        return _HEADROOM_BYTES
    doubled = 2 * max_message_bytes + _HEADROOM_BYTES
    return doubled + _HEADROOM_BYTES if kind == "dlq" else doubled
