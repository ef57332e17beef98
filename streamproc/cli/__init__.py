"""The command line, a file a command group."""

from streamproc.cli.app import main

__all__ = ["main"]
