"""What logs hold back, and what they never hand to a terminal."""

from __future__ import annotations

import logging

import pytest
import structlog
from aiokafka.errors import GroupCoordinatorNotAvailableError

from streamproc.logs import CoordinatorStarting, configure_logging
from streamproc.settings import read_settings

UNAVAILABLE = GroupCoordinatorNotAvailableError()


def record(error: Exception, created_s: float) -> logging.LogRecord:
    made = logging.makeLogRecord({"msg": "failed: %s", "args": (error,), "levelno": 40})
    made.created = created_s
    return made


def test_a_new_kafka_that_has_no_coordinator_yet_is_no_error() -> None:
    starting = CoordinatorStarting()

    assert not any(starting.filter(record(UNAVAILABLE, 1000 + tenth / 10)) for tenth in range(90))


def test_a_coordinator_that_stays_away_is_told() -> None:
    starting = CoordinatorStarting()

    told = [starting.filter(record(UNAVAILABLE, 1000.0 + second)) for second in range(20)]

    assert told == [False] * 11 + [True] * 9
    # Hours later it is a new one.
    assert not starting.filter(record(UNAVAILABLE, 9000.0))


def test_every_other_error_is_told() -> None:
    assert CoordinatorStarting().filter(record(OSError("refused"), 1.0))


@pytest.mark.parametrize("foreign", [False, True])
def test_what_an_event_holds_can_not_reach_the_terminal(
    capsys: pytest.CaptureFixture[str], foreign: bool
) -> None:
    configure_logging(read_settings(log_format="console"))
    try:
        if foreign:
            logging.getLogger("aiokafka").error("a topic called \x1b]0;title\x07")
        else:
            structlog.get_logger("test").warning("refused", id="a\x1b]0;title\x07\nforged line")
    finally:
        structlog.reset_defaults()
        logging.basicConfig(force=True)

    said = capsys.readouterr().err
    assert "\x1b]" not in said
    # structlog quotes what holds a space, and a backslash within it once more.
    assert r"\x1b]0;title\x07" in said.replace("\\\\", "\\")
    assert said.count("\n") == 1
