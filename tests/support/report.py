"""How the commands here say what they found: a table for people, JSON for machines."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table


def say(line: str) -> None:
    """One line of progress, on standard error."""
    Console(stderr=True).print(line, highlight=False, soft_wrap=True)


def tell(title: str, figures: Mapping[str, Any], good: bool) -> None:
    """Print the figures and end the process: 0 when all is good, else 1."""
    table = Table("what", "found", title=title)
    for name, found in figures.items():
        if isinstance(found, Mapping):
            for of, figure in found.items():
                table.add_row(str(of), _line(figure))
        else:
            table.add_row(name.replace("_", " "), str(found))
    Console(stderr=True).print(table)
    sys.stdout.buffer.write(orjson.dumps({"good": good, **figures}) + b"\n")
    sys.stdout.flush()
    sys.exit(0 if good else 1)


def _line(figure: object) -> str:
    """Several figures on a line."""
    if not isinstance(figure, Mapping):
        return str(figure)
    return ", ".join(f"{name.replace('_', ' ')} {found}" for name, found in figure.items())
