"""The format of logs: JSON for machines, colours on a terminal. Request texts are never logged."""

from __future__ import annotations

import logging
import sys
from typing import Final

import structlog

from streamproc.logs.printable import printable
from streamproc.logs.redaction import RedactingHandler, render_exception, without_values
from streamproc.logs.repeats import RepeatsFilter
from streamproc.settings import Settings

_NO_COORDINATOR: Final = "GroupCoordinatorNotAvailableError"


def configure_logging(settings: Settings) -> None:
    """Send structlog's events, and the standard library's warnings, to standard error."""
    shared, renderer = configure_events(settings)
    handler = RedactingHandler(sys.stderr)
    handler.addFilter(CoordinatorStarting())
    handler.addFilter(RepeatsFilter())
    handler.setFormatter(
        _RedactingFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    # Below warnings Kafka's clients log what only their authors can use.
    level = max(_level(settings), logging.WARNING)
    logging.basicConfig(handlers=[handler], level=level, force=True)


Processors = list[structlog.typing.Processor]


def configure_events(settings: Settings) -> tuple[Processors, Processors]:
    """Send structlog's events alone to standard error: how others log is not ours to say.

    returns: what is added to an event, and what writes it
    """
    console = settings.log_format == "console" or (
        settings.log_format == "auto" and sys.stderr.isatty()
    )
    shared: Processors = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: Processors = [structlog.processors.JSONRenderer()]
    if console:
        renderer = [_escape, structlog.dev.ConsoleRenderer()]
    renderer.insert(0, render_exception)
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_level(settings)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    return shared, renderer


def configure_where_nobody_has(settings: Settings) -> None:
    """So that a program that does not say how it logs gets no debug lines on standard output."""
    if not structlog.is_configured():
        configure_events(settings)


def _level(settings: Settings) -> int:
    return int(getattr(logging, settings.log_level.upper()))


class CoordinatorStarting(logging.Filter):
    """Drops errors about a group coordinator that is not available yet, for up to ten seconds.

    A new broker creates its offsets topic when the first group asks for it, and aiokafka asks again
    ten times a second. Errors that last longer are logged, and `ready` is false meanwhile.
    """

    GRACE_S = 10.0

    def __init__(self) -> None:
        super().__init__()
        self._first_s = self._last_s = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be written."""
        arguments = record.args if isinstance(record.args, tuple) else ()
        if _NO_COORDINATOR not in (type(one).__name__ for one in arguments):
            return True
        if record.created - self._last_s > self.GRACE_S:
            self._first_s = record.created
        self._last_s = record.created
        return record.created - self._first_s > self.GRACE_S


def _escape(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Values may come from records, whose escape sequences a terminal must not obey."""
    return {
        name: printable(value, lines=name in ("exception", "stack"))
        if isinstance(value, str)
        else value
        for name, value in event.items()
    }


class _RedactingFormatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return super().format(without_values(record))
