"""`streamproc demo`: every task once, on this machine, through a real Kafka and a real worker."""

from __future__ import annotations

from streamproc.cli.demo.command import demo

__all__ = ["demo"]
