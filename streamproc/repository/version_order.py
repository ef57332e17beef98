"""Versions in the order that people count in: 2 before 10."""

from __future__ import annotations

import re


def numbers_by_size(version: str) -> list[tuple[int, str]]:
    """What to sort versions by."""
    return [(int(part) if part.isdecimal() else -1, part) for part in re.split(r"(\d+)", version)]
