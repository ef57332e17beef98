"""No log line holds what a request holds, whichever library writes it."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from aiokafka.errors import (
    CorruptRecordException,
    GroupCoordinatorNotAvailableError,
    KafkaConnectionError,
)

from streamproc.logs import configure_logging
from streamproc.logs.redaction import RedactingHandler
from streamproc.settings import Settings

TEXT = "Patient Doe has a rash"


def crash(error: Exception | None = None) -> None:
    """Raise with a record in a local variable, and in the message unless an error is given."""
    value = {"text": TEXT}
    raise error or ValueError(f"wrong record {value}")


def log_of_kafka(logger: logging.Logger) -> None:
    try:
        crash(CorruptRecordException(f"invalid record: {TEXT!r}"))
    except CorruptRecordException as error:
        logger.exception("Crashed reason=%r", error)  # noqa: TRY401 - as mode does


def log_of_a_chain(logger: logging.Logger) -> None:
    try:
        try:
            crash()
        except ValueError as error:
            raise RuntimeError(TEXT) from error
    except RuntimeError:
        logger.exception("it failed")


def log_of_arguments(logger: logging.Logger) -> None:
    record = type("ConsumerRecord", (), {"__repr__": lambda _: TEXT})()
    logger.error("dropped %s, %r of %s", record, TEXT.encode(), [record, 3])
    logger.error("dropped %(record)r", {"record": record})
    logger.error("wrong format %d", record)


def log_of_structlog(_: logging.Logger) -> None:
    try:
        crash()
    except ValueError:
        structlog.get_logger("ours").exception("it failed")


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("log", [log_of_kafka, log_of_a_chain, log_of_arguments, log_of_structlog])
def test_a_log_of_an_error_names_its_type_and_place_and_no_value(
    log: Callable[[logging.Logger], None], log_format: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(Settings(log_format=log_format))
    log(logging.getLogger("a.library"))
    written = capsys.readouterr().err
    assert "Doe" not in written
    assert "a.library" in written or "it failed" in written
    if log is not log_of_arguments:
        assert "test_log_redaction.py:" in written
        assert "Error" in written or "CorruptRecordException" in written


async def test_what_asyncio_says_of_tasks_and_callbacks_holds_no_value(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging(Settings(log_format="json"))
    loop = asyncio.get_running_loop()

    def callback(text: str) -> None:
        raise ValueError(text)

    loop.call_soon(callback, TEXT)
    failed = loop.create_future()
    failed.set_exception(ValueError(TEXT))
    del failed
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    written = capsys.readouterr().err
    assert "Doe" not in written
    assert "Exception in callback" in written
    assert "Future exception was never retrieved" in written


def test_the_message_of_an_error_about_a_broker_is_kept(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging(Settings(log_format="json"))
    error = KafkaConnectionError("no route to broker-1:9092")
    logging.getLogger("aiokafka").error("failed: %s", error)
    assert "no route to broker-1:9092" in capsys.readouterr().err


def test_a_group_that_a_new_kafka_is_still_making_room_for_is_no_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging(Settings(log_format="json"))
    logger = logging.getLogger("aiokafka.consumer.group_coordinator")
    logger.error("Group Coordinator Request failed: %s", GroupCoordinatorNotAvailableError())
    logger.error("Group Coordinator Request failed: %s", KafkaConnectionError("refused"))
    (line,) = capsys.readouterr().err.splitlines()
    assert "refused" in line


def test_a_stream_that_takes_nothing_any_more_ends_nobody_who_logs() -> None:
    stream = io.StringIO()
    handler = RedactingHandler(stream)
    stream.close()
    record = logging.LogRecord("aiokafka", logging.ERROR, "file.py", 1, "x %s", ("y",), None)

    handler.handle(record)

    with pytest.raises(ValueError, match="closed"):
        stream.write("x")
