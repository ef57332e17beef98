"""The documentation pages, and the commands in their code blocks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.support.command import ROOT

Where = Literal["no", "local", "kafka"]
"""Whether a block is marked to be run, and what it needs."""

_BLOCK = re.compile(
    r"(?:^<!-- (run(?:: kafka)?) -->\n)?^```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE
)
_RUN: dict[str, Where] = {"": "no", "run": "local", "run: kafka": "kafka"}
# What precedes a command in a block: a prompt, settings for it, a pipe.
_COMMAND = re.compile(r"(?:^|\$ |\| |; |&& |[A-Z_]+=\S+ )(streamproc [^|;&\n]*)", re.MULTILINE)


@dataclass(frozen=True)
class Command:
    """One `streamproc …` of a page, as it is typed."""

    page: str
    text: str
    run: Where

    @property
    def arguments(self) -> list[str]:
        """What follows `streamproc`."""
        return shlex.split(self.text, comments=True)[1:]

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"


def pages() -> list[Path]:
    """Every page that a user reads."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]


def commands() -> Iterator[Command]:
    """Every command of streamproc in a code block of a page."""
    for page in pages():
        for mark, block in _BLOCK.findall(page.read_text("utf-8")):
            for found in _COMMAND.findall(block.replace("\\\n", " ")):
                yield Command(page.name, " ".join(found.split()), _RUN[mark])
