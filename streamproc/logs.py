"""How logs look: JSON for machines, colours on a terminal. Texts of users are never logged."""

from __future__ import annotations

import logging
import sys

import structlog

from streamproc.log_redaction import RedactingHandler, tell_exception, without_values
from streamproc.settings import Settings


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
        structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer(),
    ]
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = RedactingHandler(sys.stderr)
    handler.setFormatter(
        _RedactingFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *renderer,
            ],
        )
    )
    # Kafka clients say a lot that only their authors can use; what matters is said by streamproc.
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)


class _RedactingFormatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return super().format(without_values(record))
