"""`streamproc broker`: the embedded Kafka in the foreground, and Kafka's own console tools."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from streamproc.cli.lazy import command_group
from streamproc.cli.options import mebibytes, with_settings
from streamproc.cli.terminal import stderr_console, stdout_console
from streamproc.settings import Settings, read_settings

if TYPE_CHECKING:
    from streamproc.kafka.embedded import Progress as Report

LEAST_MEMORY_MB = 128

app = command_group(
    "Run a real Kafka of one node on this machine, until Ctrl-C or SIGTERM.",
    invoke_without_command=True,
)


def default_data_dir() -> Path:
    """Where the foreground broker keeps topics and data when nobody says otherwise."""
    return Path.home() / ".local" / "share" / "streamproc" / "kafka"


@contextmanager
def fetch_progress(console: Console) -> Iterator[Report]:
    """A progress bar that is there from the first byte fetched, so never when nothing is.

    Where there is no terminal it is a single line.
    """
    from streamproc.kafka.embedded import KAFKA_VERSION

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
        from streamproc.kafka.embedded import KAFKA_VERSION

        if not self._said:
            self._said = True
            self._console.print(f"fetching Kafka {KAFKA_VERSION}, once: {total_bytes >> 20} MiB")


@app.callback()
def broker(
    context: typer.Context,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0: any free one.")
    ] = 9092,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder for topics and data.", show_default="in your home folder"),
    ] = None,
    memory_mb: Annotated[
        int,
        typer.Option(
            parser=mebibytes(LEAST_MEMORY_MB),
            metavar="SIZE",
            help="Largest JVM heap, in MiB, or such as 1GiB.",
        ),
    ] = 512,
) -> None:
    """Run a real Kafka of one node on this machine, until Ctrl-C or SIGTERM."""
    if context.invoked_subcommand is not None:
        return
    from streamproc.kafka.embedded import KAFKA_VERSION, EmbeddedBroker

    # Both ask for the same thing, whenever they come: stop in order and exit 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    try:
        with fetch_progress(stderr_console()) as report:
            kafka = EmbeddedBroker(
                data_dir or default_data_dir(),
                port,
                memory_mb,
                read_settings().cache_dir,
                report,
            )
            kafka.start()
        try:
            stdout_console().print(
                f"Kafka {KAFKA_VERSION} answers on {kafka.bootstrap_servers} · "
                f"data {kafka.data_dir} · log {kafka.log_file} · Ctrl-C stops it",
                soft_wrap=True,
            )
            kafka.wait()
        finally:
            kafka.stop()
    except KeyboardInterrupt:
        return


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@with_settings(["kafka_bootstrap_servers", "cache_dir"])
def tools(
    settings: Settings,
    tool: Annotated[str, typer.Argument(help="as Kafka names it, e.g. kafka-consumer-groups")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(help="the tool's own; --bootstrap-server is added unless it is there"),
    ] = None,
) -> None:
    """Run one of Kafka's own console tools, on this Kafka or any other.

    They come with the embedded Kafka; nothing needs to be installed. For example
    `streamproc broker tools kafka-consumer-groups --describe --group streamproc`.
    """
    from streamproc.kafka.embedded.tools import run_tool, tool_command

    with fetch_progress(stderr_console()) as report:
        command = tool_command(
            tool, arguments or (), settings.kafka_bootstrap_servers, settings.cache_dir, report
        )
    raise typer.Exit(run_tool(command))
