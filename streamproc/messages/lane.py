"""The two lanes: interactive requests go first, bulk requests take what is left."""

from __future__ import annotations

from enum import IntEnum


class Lane(IntEnum):
    """The lane of a request, which its topic decides; a lower value goes first."""

    INTERACTIVE = 0
    BULK = 1
