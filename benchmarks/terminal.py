"""How a benchmark is run in a terminal: what it is at is told, and an error is a sentence."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from rich.console import Console

from streamproc.errors import OperatorError

MadeT = TypeVar("MadeT")


def progress(console: Console) -> Callable[[str], None]:
    """Tells what a benchmark is at."""

    def say(what: str) -> None:
        console.print(f"[dim]{what}[/]", highlight=False)

    return say


def run(measuring: Coroutine[Any, Any, MadeT]) -> MadeT:
    """Measure; where that can't be done the process ends with 2, and says why."""
    try:
        return asyncio.run(measuring)
    except OperatorError as error:
        Console(stderr=True).print(f"error: {error}", markup=False)
        sys.exit(2)
