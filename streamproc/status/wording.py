"""Figures as people read them: three digits are enough."""

from __future__ import annotations

_MS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"))


def amount(value: float) -> str:
    """12,345, 123, 1.2 or 0."""
    if value >= 99.95 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 0.95 else f"{value:.2f}"


def duration(ms: float | None) -> str:
    """940 ms, 2.5 s, 3.1 min; – for None."""
    if ms is None:
        return "–"
    for unit_ms, unit in _MS:
        if ms >= unit_ms:
            return (
                f"{ms / unit_ms:.1f} {unit}" if ms < 10 * unit_ms else f"{ms / unit_ms:.0f} {unit}"
            )
    return "0" if not ms else f"{ms:.0f} ms"


def percent(share: float | None) -> str:
    """12 %, 0.3 %; – for None."""
    if share is None:
        return "–"
    value = share * 100
    return f"{value:.1f} %" if 0 < value < 9.95 else f"{value:.0f} %"


def size(size_bytes: float | None) -> str:
    """512 B, 4.5 KiB, 390 MiB; – for None."""
    if size_bytes is None:
        return "–"
    value = float(size_bytes)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 9.95 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"
