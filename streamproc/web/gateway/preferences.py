"""What a caller prefers (RFC 7240): how long it waits, and whether it comes back for the answer."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preferences:
    """wait_s: None where the caller does not say."""

    wait_s: float | None = None
    responds_async: bool = False


def read_preferences(headers: Iterable[str]) -> Preferences:
    """The preferences in the values of Prefer headers.

    What is not known, or not a number, is left out, as the RFC asks; the first of a name counts.
    """
    found: dict[str, str] = {}
    for preference in ",".join(headers).split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        found.setdefault(name.strip().lower(), value.strip().strip('"'))
    return Preferences(_seconds(found.get("wait")), "respond-async" in found)


def _seconds(value: str | None) -> float | None:
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
