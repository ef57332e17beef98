"""Errors of brokers whose codes aiokafka does not know; with this it raises them."""

from __future__ import annotations

from aiokafka.errors import BrokerResponseError, kafka_errors


class FencedInstanceIdError(BrokerResponseError):  # type: ignore[misc]
    """Another member has joined under this one's name."""

    errno = 82
    message = "FENCED_INSTANCE_ID"
    description = "Another member of the group has taken this one's group.instance.id."


class InvalidRecordError(BrokerResponseError):  # type: ignore[misc]
    """A broker's check of a record."""

    errno = 87
    message = "INVALID_RECORD"
    description = "The record failed the validation of the broker, and is not stored."


kafka_errors.update({one.errno: one for one in (FencedInstanceIdError, InvalidRecordError)})
