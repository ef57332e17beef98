"""What a log may contain of an error: its type and its frames, never the contents of a request.

Libraries log errors with their arguments, local variables, and the repr of exceptions that quote
the bytes they met. Records of users are among these.
"""

from __future__ import annotations

import copy
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, cast

from structlog.typing import EventDict, WrappedLogger

from streamproc.errors import OperatorError, WorkerFault

_PLAIN = (str, int, float, type(None))
# Their messages name brokers, topics, addresses and files, and quote no record.
_MESSAGES_OF = (OSError, OperatorError, WorkerFault)
_KAFKA_ERRORS: Final = "aiokafka.errors"
_QUOTES_RECORDS: Final = "CorruptRecordException"
# asyncio formats tasks, futures and callbacks, with their arguments and results, into messages.
_BEFORE_A_REPR: Final = re.compile(r"[^(<\n]*")


def describe_error(error: BaseException) -> str:
    """An error in one line: its type, and its message where that can't quote a record."""
    name = type(error).__name__
    of_kafka = type(error).__module__ == _KAFKA_ERRORS and name != _QUOTES_RECORDS
    message = str(error) if of_kafka or isinstance(error, _MESSAGES_OF) else ""
    return f"{name}: {message}" if message else name


def render_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A structlog processor: an event's exception as lines of frames, without their variables."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exception()
    elif isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = "\n".join(_chain(error))
    return event


def without_values(record: logging.LogRecord) -> logging.LogRecord:
    """A library's log record with its plain arguments; any other is replaced by its type."""
    redacted = copy.copy(record)
    if isinstance(record.args, Mapping):
        redacted.args = {name: _redacted(value) for name, value in record.args.items()}
    elif record.args:
        redacted.args = tuple(map(_redacted, record.args))
    if record.name == "asyncio":
        redacted.msg, redacted.args = (
            cast(re.Match[str], _BEFORE_A_REPR.match(redacted.getMessage()))[0],
            (),
        )
    return redacted


class RedactingHandler(logging.StreamHandler[Any]):
    """Writes records as formatted; of one that can't be formatted, only the logger's name."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Name the logger; the standard library's handler would print all arguments.

        A stream that is closed, or that nobody reads any more, takes nothing: whoever logs must
        not end of it.
        """
        with suppress(OSError, ValueError):
            self.stream.write(f"a message of {record.name} could not be formatted\n")


def _redacted(value: object) -> object:
    if isinstance(value, BaseException):
        return describe_error(value)
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, (tuple, list, set, frozenset)):
        return ", ".join(str(_redacted(part)) for part in value)
    return f"<{type(value).__name__}>"


def _chain(error: BaseException) -> Iterator[str]:
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if earlier is not None:
        yield from _chain(earlier)
    yield from _frames(error.__traceback__)
    yield describe_error(error)


def _frames(trace: TracebackType | None) -> Iterator[str]:
    while trace is not None:
        code = trace.tb_frame.f_code
        file = "/".join(Path(code.co_filename).parts[-2:])
        yield f"  {file}:{trace.tb_lineno} {code.co_qualname}"
        trace = trace.tb_next
