"""Tables of figures, as reports show them on the terminal and on a page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReportTable:
    """rows: as many cells each as there are headings; numbers: columns that hold figures"""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...]


def four_digits(value: float) -> str:
    """A figure of a table: 0.123, 12.35, 1,235 and 12,346, never 1.235e+04."""
    return f"{value:,.4g}" if abs(value) < 9_999.5 else f"{value:,.0f}"
