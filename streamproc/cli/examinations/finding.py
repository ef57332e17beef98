"""What an examination finds, and how it is said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from streamproc.errors import OperatorError

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: what was found, and what to do; empty where nothing is to be done."""

    name: str
    state: State
    found: str
    do: str = ""


def guarded(name: str, look: Callable[[], Finding]) -> Finding:
    """What is found, or why nothing can be."""
    try:
        return look()
    except (OperatorError, OSError) as error:
        return Finding(name, "failed", first_line(error), "see the message")


def first_line(error: Exception) -> str:
    """What an error says first."""
    return str(error).partition("\n")[0]


def some(names: Sequence[str], most: int = 3) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
