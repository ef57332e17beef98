"""`streamproc …` in this process, from its words to its exit code: quick enough for thousands."""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import NoReturn

from streamproc.cli.app import main

# The first command may import torch, on a machine that has much else to do.
LONGEST_S = 180


@dataclass(frozen=True)
class Ended:
    """How a command ended. code: its exit code, or what came out of it instead of one"""

    code: object
    out: str
    err: str

    @property
    def said(self) -> str:
        """All that it printed."""
        return self.out + self.err


def run(*arguments: str) -> Ended:
    """Run a command to its end, with an empty standard input."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    stdin, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO())
    code: object = 0
    try:
        with redirect_stdout(out), redirect_stderr(err), _at_most(LONGEST_S):
            main(arguments)
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException as error:  # noqa: BLE001  # that it gets here is what is looked for
        code = f"{type(error).__name__}: {error}"
    finally:
        sys.stdin = stdin
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return Ended(code, _text(out), _text(err))


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode("utf-8", "backslashreplace")


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    def late(*_: object) -> NoReturn:
        raise TimeoutError(f"still running after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
