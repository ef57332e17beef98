"""`streamproc broker`: the embedded Kafka in the foreground, and Kafka's own console tools."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from streamproc.cli.lazy import command_group
from streamproc.cli.options import mebibytes, with_settings
from streamproc.cli.progress import fetching
from streamproc.cli.terminal import stderr_console, stdout_console
from streamproc.settings import Settings, read_settings

LEAST_MEMORY_MB = 128

app = command_group(
    "Run a real one-node Kafka on this machine until Ctrl-C or SIGTERM.",
    invoke_without_command=True,
)


def default_data_dir() -> Path:
    """Where the foreground broker keeps topics and data by default."""
    return Path.home() / ".local" / "share" / "streamproc" / "kafka"


@app.callback()
def broker(
    context: typer.Context,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="port on 127.0.0.1; 0: any free port")
    ] = 9092,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="folder for topics and data", show_default="in your home folder"),
    ] = None,
    memory_mb: Annotated[
        int,
        typer.Option(
            parser=mebibytes(LEAST_MEMORY_MB),
            metavar="SIZE",
            help="largest JVM heap, in MiB or with a unit, such as 1GiB",
        ),
    ] = 512,
) -> None:
    """Run a real one-node Kafka on this machine until Ctrl-C or SIGTERM."""
    if context.invoked_subcommand is not None:
        return
    from streamproc.kafka.embedded import KAFKA_VERSION, EmbeddedBroker

    # Both ask for the same thing, whenever they come: stop in order and exit 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    try:
        with fetching(f"Kafka {KAFKA_VERSION}", stderr_console()) as report:
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
    tool: Annotated[str, typer.Argument(help="name of the tool, e.g. kafka-consumer-groups")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(help="arguments of the tool; --bootstrap-server is added unless given"),
    ] = None,
) -> None:
    """Run one of Kafka's console tools against this Kafka or any other.

    The tools come with the embedded Kafka; nothing needs to be installed. For example
    `streamproc broker tools kafka-consumer-groups --describe --group streamproc`.
    """
    from streamproc.kafka.embedded import KAFKA_VERSION
    from streamproc.kafka.embedded.tools import run_tool, tool_command

    with fetching(f"Kafka {KAFKA_VERSION}", stderr_console()) as report:
        command = tool_command(
            tool, arguments or (), settings.kafka_bootstrap_servers, settings.cache_dir, report
        )
    raise typer.Exit(run_tool(command))
