"""How logs look: JSON for machines, colours on a terminal. Texts of users are never logged."""

from __future__ import annotations

import logging
import sys
from typing import Final

import structlog

from streamproc.logs.printable import printable
from streamproc.logs.redaction import RedactingHandler, tell_exception, without_values
from streamproc.logs.repeats import RepeatsFilter
from streamproc.settings import Settings

_NOT_YET: Final = "GroupCoordinatorNotAvailableError"


def configure_logging(settings: Settings) -> None:
    """Send structlog's events, and the standard library's warnings, to standard error."""
    level = getattr(logging, settings.log_level.upper())
    console = settings.log_format == "console" or (
        settings.log_format == "auto" and sys.stderr.isatty()
    )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: list[structlog.typing.Processor] = [
        tell_exception,
        *(
            [_escape, structlog.dev.ConsoleRenderer()]
            if console
            else [structlog.processors.JSONRenderer()]
        ),
    ]
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = RedactingHandler(sys.stderr)
    handler.addFilter(_is_news)
    handler.addFilter(RepeatsFilter())
    handler.setFormatter(
        _RedactingFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *renderer,
            ],
        )
    )
    handler.addFilter(CoordinatorStarting())
    # Kafka clients say a lot that only their authors can use; what matters is said by streamproc.
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)


class CoordinatorStarting(logging.Filter):
    """Keeps back that Kafka has no coordinator for a group yet, for as long as that is no fault.

    A new Kafka makes its own topic for offsets when the first group asks for it, and aiokafka asks
    again ten times a second. What lasts longer than that is told, and `ready` is false meanwhile.
    """

    PATIENCE_S = 10.0

    def __init__(self) -> None:
        super().__init__()
        self._first_s = self._last_s = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """False of what is not to be told."""
        arguments = record.args if isinstance(record.args, tuple) else ()
        if "GroupCoordinatorNotAvailableError" not in (type(one).__name__ for one in arguments):
            return True
        if record.created - self._last_s > self.PATIENCE_S:
            self._first_s = record.created
        self._last_s = record.created
        return record.created - self._first_s > self.PATIENCE_S


def _escape(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Values may come out of records: none of them may reach the terminal as it is."""
    return {
        name: printable(value, lines=name in ("exception", "stack"))
        if isinstance(value, str)
        else value
        for name, value in event.items()
    }


class _RedactingFormatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return super().format(without_values(record))


def _is_news(record: logging.LogRecord) -> bool:
    """False for what aiokafka logs as an error at every first start on a new Kafka.

    The broker makes the topic of the groups' offsets then, which takes it a moment. Where it takes
    longer, `ready` says that nothing has been assigned yet.
    """
    return not (
        record.name == "aiokafka.consumer.group_coordinator"
        and any(type(part).__name__ == _NOT_YET for part in record.args or ())
    )
