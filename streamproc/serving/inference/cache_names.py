"""What exported decoders call their caches: as an input `past_key_values…`, back as `present…`."""

from __future__ import annotations

import re
from typing import Final

PAST: Final = re.compile(r"past_key_values\.(\d+)\.(key|value)")
"""A cache of a decoder alone: its layer, and which of both."""


def present(past: str) -> str:
    """The output that is to be given back as the input `past`."""
    return past.replace("past_key_values", "present")
