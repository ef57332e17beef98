"""`streamproc demo`: a Kafka, a worker and real texts, all on this machine."""

from __future__ import annotations


def demo() -> None:
    """Start a Kafka and a worker, show every task that has an ensemble; nothing is left behind."""
    from streamproc.cli.demo.show import show_all

    show_all()
