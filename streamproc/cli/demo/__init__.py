"""`streamproc demo`: a Kafka, a worker and real texts, all on this machine."""

from __future__ import annotations


def demo() -> None:
    """Start Kafka and a worker, show every task on real texts, and leave nothing behind."""
    from streamproc.cli.demo.show import show_all

    show_all()
