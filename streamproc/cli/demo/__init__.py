"""`streamproc demo`: a Kafka, a worker and real texts, all on this machine."""

from __future__ import annotations

from typing import Annotated

import typer


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="leave all of it running with a page, until Ctrl-C")
    ] = False,
) -> None:
    """Start Kafka and a worker, show every task on real texts, and leave nothing behind."""
    from streamproc.cli.demo.show import show_all

    show_all(keep=keep)
