"""What is said of topics in trouble, and of groups that refuse: once, and until it is over."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from aiokafka.errors import GroupAuthorizationFailedError, InvalidSessionTimeoutError
from structlog.testing import capture_logs

from streamproc.kafka.consumer_state import ConsumerState
from streamproc.kafka.group_membership import keep_joining
from streamproc.kafka.topic_troubles import TopicTroubles


def test_a_topic_is_in_trouble_while_it_is_missing_or_any_sender_fails() -> None:
    troubles = TopicTroubles()
    first, second = object(), object()
    with capture_logs() as logs:
        waits = [troubles.failed("a", first, "no"), troubles.failed("a", second, "no")]
        troubles.stored("a")
        troubles.gone("a", first)
        assert dict(troubles.reasons()) == {"a": "no"}
        # Cancelled, perhaps: what it was waiting for is nobody's trouble any more.
        troubles.gone("a", second)
        assert "a" not in troubles
        troubles.looked_up(["a", "b"], {"a": "gone"})
        troubles.looked_up(["a", "b"], {"a": "gone"})
        assert dict(troubles.reasons()) == {"a": "gone"}
        troubles.looked_up(["a", "b"], {})
    assert waits[0] < waits[1]
    assert troubles.reasons() == {}
    assert [line["event"] for line in logs] == [
        "topic rejects records",
        "topic accepts records again",
        "topic rejects records",
        "topic accepts records again",
    ]


class Coordinator:
    """Asks nobody; counts how often it was told to join again."""

    def __init__(self) -> None:
        self.rejoins = 0
        self._closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def request_rejoin(self) -> None:
        self.rejoins += 1

    async def _push_error_to_user(self, error: BaseException) -> None:
        raise AssertionError(error)


async def test_a_missing_acl_is_waited_for_and_said_once() -> None:
    coordinator, state = Coordinator(), ConsumerState()
    keep_joining(SimpleNamespace(_coordinator=coordinator), state)
    coordinator._closing.set_result(None)  # or it would wait for seconds
    with capture_logs() as logs:
        for _ in range(3):
            await coordinator._push_error_to_user(GroupAuthorizationFailedError("g"))
    assert coordinator.rejoins == 3
    assert not state.final
    assert state.refusal is not None
    assert "an ACL is missing" in state.refusal
    assert len(logs) == 1


async def test_what_only_a_setting_can_end_is_final() -> None:
    coordinator, state = Coordinator(), ConsumerState()
    keep_joining(SimpleNamespace(_coordinator=coordinator), state)
    coordinator._closing.set_result(None)
    await coordinator._push_error_to_user(InvalidSessionTimeoutError())
    assert state.final
