"""What `streamproc doctor` looks at; each examination is one finding, and none ends the others."""

from __future__ import annotations

from streamproc.cli.examinations.cache import of_cache
from streamproc.cli.examinations.finding import Finding
from streamproc.cli.examinations.kafka import of_kafka
from streamproc.cli.examinations.machine import of_installation, of_machine
from streamproc.cli.examinations.models import of_models
from streamproc.settings import Settings

__all__ = ["Finding", "examine"]


async def examine(settings: Settings) -> list[Finding]:
    """All findings, in the order that things are needed in."""
    return [
        *of_installation(),
        *await of_kafka(settings),
        *of_models(settings),
        *await of_cache(settings),
        *of_machine(settings),
    ]
