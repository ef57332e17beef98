"""A plot as the pages that show it need it."""

from __future__ import annotations

from dataclasses import dataclass

from streamproc.offline.evaluation.tables import Topic


@dataclass(frozen=True, slots=True)
class Plot:
    """caption: what is seen on it, a sentence, for those who can't see it too"""

    topic: Topic
    caption: str
    png: bytes
