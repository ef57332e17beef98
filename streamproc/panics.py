"""What a library written in Rust raises when it fails by a bug of its own, made an exception.

Such a failure is a panic there, and reaches Python as a `pyo3_runtime.PanicException`, as of the
tokenizers library or pydantic. That is no `Exception`, so that whatever handles those lets it pass:
a request would end unfinished, and those whose batch it was in would wait for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# What ends a program or a task, as it is meant to.
_TO_END: Final = (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError)


class LibraryPanicked(Exception):
    """A library panicked: its bug, met by what it was asked, and maybe by nothing else."""


@contextmanager
def panics_as_exceptions() -> Iterator[None]:
    """Raises LibraryPanicked where a panic would come out of what is called in it."""
    try:
        yield
    except (Exception, *_TO_END):
        raise
    except BaseException as panic:  # noqa: BLE001 - a panic has no class to name
        # Not the message, which the library has printed: it may quote what a user sent.
        panicked = LibraryPanicked(f"a library failed with {type(panic).__name__}")
        # Where it happened, and not here.
        raise panicked.with_traceback(panic.__traceback__) from None
