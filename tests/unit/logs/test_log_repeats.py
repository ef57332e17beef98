from __future__ import annotations

import logging

from streamproc.logs.repeats import WINDOW_S, RepeatsFilter


def record(created: float, *arguments: object, name: str = "aiokafka") -> logging.LogRecord:
    made = logging.LogRecord(name, logging.ERROR, "file", 1, "topic %s is gone", arguments, None)
    made.created = created
    return made


def test_a_message_is_written_once_in_a_while_and_tells_how_many_were_left_out() -> None:
    repeats = RepeatsFilter()
    again = record(WINDOW_S + 1, "a")
    assert [repeats.filter(record(at, "a")) for at in (0.0, 1.0, WINDOW_S - 1)] == [
        True,
        False,
        False,
    ]
    assert repeats.filter(again)
    assert again.getMessage() == "topic a is gone (repeated 2 times since)"


def test_other_messages_and_other_loggers_pass_meanwhile() -> None:
    repeats = RepeatsFilter()
    assert repeats.filter(record(0, "a"))
    assert repeats.filter(record(0, "b"))
    assert repeats.filter(record(0, "a", name="faust"))
    assert not repeats.filter(record(0, "b"))


def test_a_message_that_cannot_be_formatted_is_left_to_the_handler() -> None:
    assert RepeatsFilter().filter(record(0))
    assert RepeatsFilter().filter(record(0, 1, 2))
