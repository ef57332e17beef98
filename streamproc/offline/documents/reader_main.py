"""The process in which documents are read: one after another, until there are no more.

On standard input comes for each document a line of JSON, then its bytes:

    {"format": "pdf", "encoding": null, "size": 1234}

On standard output goes a line of JSON: `text` and `warnings`, or `error`, or `missing`, which names
a package. JSON, as whoever reads it must not trust a process that a document took over.

Arguments: the seconds for one document, the bytes of memory for all.
"""

from __future__ import annotations

import signal
import sys
from typing import BinaryIO

import orjson

from streamproc.offline.documents.document import DocumentError
from streamproc.offline.documents.whole_file import read_document


def main() -> None:
    """Read documents from standard input."""
    time_limit_s, memory_limit_bytes = map(int, sys.argv[1:])
    _limit_memory(memory_limit_bytes)
    while _answer_one(sys.stdin.buffer, sys.stdout.buffer, time_limit_s):
        pass


def _answer_one(asked: BinaryIO, answers: BinaryIO, time_limit_s: int) -> bool:
    line = asked.readline()
    if not line:
        return False
    question = orjson.loads(line)
    data = asked.read(question["size"])
    # What hangs in a library is ended by the signal, and this process with it.
    signal.alarm(time_limit_s)
    try:
        document = read_document(question["format"], data, question["encoding"])
        answer = orjson.dumps({"text": document.text, "warnings": document.warnings})
    except DocumentError as error:
        answer = orjson.dumps({"error": str(error)})
    except ModuleNotFoundError as missing:
        answer = orjson.dumps({"missing": missing.name})
    signal.alarm(0)
    answers.write(answer + b"\n")
    answers.flush()
    return True


def _limit_memory(limit_bytes: int) -> None:
    try:
        import resource  # noqa: PLC0415 - Windows has none
    except ModuleNotFoundError:
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit_bytes = limit_bytes if most == resource.RLIM_INFINITY else min(limit_bytes, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, most))


if __name__ == "__main__":
    main()
