"""`streamproc broker`: the embedded Kafka in the foreground."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from streamproc.broker import KAFKA_VERSION, EmbeddedBroker
from streamproc.broker import Progress as Report
from streamproc.settings import read_settings


def default_data_dir() -> Path:
    """Where the foreground broker keeps topics and data when nobody says otherwise."""
    return Path.home() / ".local" / "share" / "streamproc" / "kafka"


@contextmanager
def fetch_progress(console: Console) -> Iterator[Report]:
    """A progress bar that is there from the first byte fetched, so never when nothing is.

    Where there is no terminal it is a single line.
    """
    if not console.is_terminal:
        yield _Once(console)
        return
    bar = Progress(
        TextColumn(f"fetching Kafka {KAFKA_VERSION}, once"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    task = bar.add_task("jars")

    def report(done_bytes: int, total_bytes: int) -> None:
        bar.start()
        bar.update(task, completed=done_bytes, total=total_bytes)
        if done_bytes >= total_bytes:
            bar.stop()

    try:
        yield report
    finally:
        bar.stop()


class _Once:
    """Says a single time that a fetch is going on."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said = False

    def __call__(self, done_bytes: int, total_bytes: int) -> None:
        if not self._said:
            self._said = True
            self._console.print(f"fetching Kafka {KAFKA_VERSION}, once: {total_bytes >> 20} MiB")


def broker(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0: any free one.")
    ] = 9092,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder for topics and data.", show_default="in your home folder"),
    ] = None,
    memory_mb: Annotated[int, typer.Option(min=128, help="Largest JVM heap, MiB.")] = 512,
) -> None:
    """Run a real Kafka of one node on this machine, until Ctrl-C or SIGTERM."""
    # Both ask for the same thing, whenever they come: stop in order and exit 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    try:
        with fetch_progress(Console(stderr=True)) as report:
            kafka = EmbeddedBroker(
                data_dir or default_data_dir(),
                port,
                memory_mb,
                read_settings().cache_dir,
                report,
            )
            kafka.start()
        try:
            sys.stdout.write(
                f"Kafka {KAFKA_VERSION} answers on {kafka.bootstrap_servers} · "
                f"data {kafka.data_dir} · log {kafka.log_file} · Ctrl-C stops it\n"
            )
            sys.stdout.flush()
            kafka.wait()
        finally:
            kafka.stop()
    except KeyboardInterrupt:
        return
