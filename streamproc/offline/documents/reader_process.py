"""Documents read in a process of their own, which may crash, hang or grow, and is started anew."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Self

import orjson

from streamproc.offline.documents.document import Document, DocumentError
from streamproc.offline.documents.formats import DocumentFormat

# For one document; the largest that were tried take a tenth of it. Of memory it is the address
# space.
TIME_LIMIT_S = 300
MEMORY_LIMIT_BYTES = 4 << 30
_MODULE = "streamproc.offline.documents.reader_main"


class ReaderProcess:
    """Reads documents, one at a time; a context manager that ends the process.

    Libraries written in C read bytes that may come from anybody: what they make of them must not
    end the command, or keep it waiting.
    """

    def __init__(self, time_limit_s: int = TIME_LIMIT_S) -> None:
        """time_limit_s: for one document"""
        self._limits = [str(time_limit_s), str(MEMORY_LIMIT_BYTES)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def read(self, form: DocumentFormat, data: bytes, encoding: str | None) -> Document:
        """As `read_document` does; raises DocumentError, ModuleNotFoundError."""
        process = self._process = self._process or _started(self._limits)
        assert process.stdin is not None  # noqa: S101 - as it was started
        assert process.stdout is not None  # noqa: S101
        asked = {"format": form, "encoding": encoding, "size": len(data)}
        try:
            process.stdin.write(orjson.dumps(asked) + b"\n")
            process.stdin.write(data)
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line.endswith(b"\n"):
            self._process = None
            process.kill()
            process.communicate()
            raise DocumentError(_how_it_ended(process.returncode))
        answer = orjson.loads(line)
        if "missing" in answer:
            raise ModuleNotFoundError(name=answer["missing"])
        if "error" in answer:
            raise DocumentError(answer["error"])
        return Document(answer["text"], tuple(answer["warnings"]))


def _started(limits: list[str]) -> subprocess.Popen[bytes]:
    # Without the current folder in the path, where documents may lie; in a session of its own, as
    # Ctrl-C is for the command. It ends with its standard input.
    return subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-P", "-m", _MODULE, *limits],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _how_it_ended(code: int) -> str:
    if code == -signal.SIGALRM:
        return "took too long to be read"
    if code < 0:
        return f"ended the process that read it, by {signal.Signals(-code).name}"
    return f"ended the process that read it, with exit code {code}"
