"""The application: every command by name, and errors reported in one line."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from typing import Annotated, NoReturn

import typer

from streamproc import __version__
from streamproc.cli.lazy import command_group
from streamproc.errors import OperatorError, WorkerFault

INTERNAL_ERROR = 70
"""The exit code, as sysexits.h has it for internal software errors."""

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

COMMANDS = {
    "demo": (
        "Start Kafka and a worker, show every task on real texts, and leave nothing behind.",
        "streamproc.cli.demo:demo",
    ),
    "broker": (
        "Run a real one-node Kafka on this machine until Ctrl-C or SIGTERM.",
        "streamproc.cli.broker:app",
    ),
    "worker": (
        "Consume requests, answer them and publish responses, until SIGTERM.",
        "streamproc.cli.worker:worker",
    ),
    "gateway": (
        "Answer HTTP requests through Kafka, until SIGTERM.",
        "streamproc.cli.gateway:app",
    ),
    "submit": (
        "Answer every row and document through Kafka; results are in the order of the input.",
        "streamproc.cli.submit:submit",
    ),
    "run": (
        "Answer every row and document with local models; results are in the order of the input.",
        "streamproc.cli.run:run",
    ),
    "train": (
        "Train one model per part of a corpus, and write them as an ensemble that a worker serves.",
        "streamproc.cli.train:train",
    ),
    "export": (
        "Export a training run: to ONNX, checked against torch, quantised.",
        "streamproc.cli.export:export",
    ),
    "fit-ensemble": (
        "Choose on validation data how members are combined, and write it to the manifest.",
        "streamproc.cli.fit_ensemble:fit_ensemble",
    ),
    "evaluate": (
        "Evaluate an ensemble on labelled data, beside its members and other ways to combine.",
        "streamproc.cli.evaluate:evaluate",
    ),
    "profiles": (
        "Show what each profile costs in accuracy and gains in speed.",
        "streamproc.cli.profiles:profiles",
    ),
    "topics": (
        "Create and check the topics that topics/*.yaml describe.",
        "streamproc.cli.topics:app",
    ),
    "routes": (
        "List, check and try routes: events of any shape in, the same with answers out.",
        "streamproc.cli.routes:app",
    ),
    "status": (
        "Show how workers do: what waits, how fast it is answered, and every member of ensembles.",
        "streamproc.cli.status:status",
    ),
    "load": (
        "Send simulated users' requests, and find the load at which an objective breaks.",
        "streamproc.cli.load:load",
    ),
    "doctor": (
        "Check broker, topics, models, device, memory, disk and versions, and say what to do.",
        "streamproc.cli.doctor:doctor",
    ),
    "dlq": ("List, show and replay dead letters.", "streamproc.cli.dlq:app"),
    "models": (
        "List, verify, import and change ensembles in the models folder.",
        "streamproc.cli.models:app",
    ),
    "experiments": (
        "Split requests between versions of an ensemble, and find out which one is better.",
        "streamproc.cli.experiments:app",
    ),
    "corpus": ("Prepare corpora for training.", "streamproc.cli.corpus:app"),
}
"""By each command's name the first line of its help, and where it is; a test compares the lines."""

app = command_group(
    "NLP on Kafka event streams: chunked, batched, ensembled ONNX inference.",
    COMMANDS,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command, by default the one that this process was started with.

    Exit codes: 0 done; 1 some requests or checks failed, or Kafka failed; 2 correct something;
    70 a fault of streamproc itself.
    """
    for stream in (sys.stdout, sys.stderr):
        # A character that the locale lacks must not end a command in the middle of a table.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            app(arguments, prog_name="streamproc")
        finally:
            # Here rather than as Python ends, where nobody hears that a disk is full.
            sys.stdout.flush()
    except OperatorError as error:
        _end(str(error), 2)
    except WorkerFault as error:
        _end(str(error), 1)
    except BrokenPipeError:
        _let_go_of_stdout()
        sys.exit(1)
    except OSError as error:
        # Where a file is at fault and no command says more of it, this says which and why.
        if error.filename is None and error.errno not in _DISK:
            _end(_fault(error), INTERNAL_ERROR)
        _let_go_of_stdout()
        what = "write" if error.filename is None else f"use {error.filename}"
        _end(f"can't {what}: {error.strerror}", 2)
    except Exception as error:  # noqa: BLE001  # said in a line, whatever it is
        _end(_fault(error), INTERNAL_ERROR)


def _let_go_of_stdout() -> None:
    """What could not be written to it is not tried again as Python ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end(message: str, code: int) -> NoReturn:
    # Not needed for --help, nor for a command that ends well.
    from rich.text import Text

    from streamproc.cli.terminal import stderr_console
    from streamproc.logs.printable import printable

    stderr_console().print(Text.assemble(("error: ", "bold red"), printable(message, lines=True)))
    sys.exit(code)


def _fault(error: Exception) -> str:
    """An error that nobody foresaw: its kind and its place, as its words may hold a request."""
    from streamproc.settings import read_settings

    with suppress(OperatorError):
        if read_settings().log_level == "debug":
            traceback.print_exception(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"internal error: {type(error).__name__} at {place.filename}:{place.lineno}; this is a "
        "fault of streamproc, please report it. STREAMPROC_LOG_LEVEL=debug shows the traceback."
    )
