"""Staying in the consumer group: what refuses a worker is asked again, and told meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    InconsistentGroupProtocolError,
    InvalidGroupIdError,
    InvalidSessionTimeoutError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from streamproc.kafka.backoff import backoff_s
from streamproc.kafka.consumer_state import ConsumerState
from streamproc.kafka.further_errors import FencedInstanceIdError
from streamproc.kafka.private_api import is_closing, rejoin_group, replace_fatal_error
from streamproc.logs.redaction import describe_error

_log = structlog.get_logger(__name__)

FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 15.0


# Nothing but another setting ends these.
_FINAL: Final = {
    InvalidSessionTimeoutError: (
        "STREAMPROC_SESSION_TIMEOUT_S is outside of what the broker allows "
        "(group.min.session.timeout.ms to group.max.session.timeout.ms)"
    ),
    FencedInstanceIdError: (
        "another worker has joined under the same STREAMPROC_GROUP_INSTANCE_ID: each needs its own"
    ),
    InvalidGroupIdError: "STREAMPROC_GROUP_ID is not a name that the broker accepts for a group",
}
_WAITED_OUT: Final = {
    InconsistentGroupProtocolError: (
        "other consumers of the group work by another protocol: give them, or this worker, a "
        "STREAMPROC_GROUP_ID of their own"
    ),
    GroupAuthorizationFailedError: "this user may not read with the group: an ACL is missing",
    TopicAuthorizationFailedError: "this user may not read a topic of the group: an ACL is missing",
}


def keep_joining(consumer: AIOKafkaConsumer, state: ConsumerState) -> None:
    """Make a started consumer join its group again where it would wait to be asked for errors.

    It hands an error that it takes for fatal to whoever polls its consumer next, and does nothing
    until then. Faust takes records from the fetcher without that, and so nothing would go on.
    """
    waits: Iterator[float] = backoff_s(FIRST_WAIT_S, LONGEST_WAIT_S)

    async def wait_and_join_again(error: BaseException) -> None:
        nonlocal waits
        error = _unwrapped(error)
        refusal = told_refusal(error)
        if state.refusal is None:
            waits = backoff_s(FIRST_WAIT_S, LONGEST_WAIT_S)
        if state.refusal != refusal:
            _log.error("consumer group refused the worker", reason=refusal)
        state.final = type(error) in _FINAL
        state.refusal = refusal
        rejoin_group(consumer)
        await is_closing(consumer, within_s=next(waits))

    replace_fatal_error(consumer, wait_and_join_again)


def told_refusal(error: BaseException) -> str:
    """Why a group refuses, in a clause that says what to do where that is known."""
    known = {**_FINAL, **_WAITED_OUT}.get(type(error))
    return f"{known} ({type(error).__name__})" if known else describe_error(error)


def _unwrapped(error: BaseException) -> BaseException:
    """aiokafka raises what it does not foresee as a KafkaError that only quotes it."""
    if type(error) is KafkaError and FencedInstanceIdError.__name__ in str(error):
        return FencedInstanceIdError()
    return error
