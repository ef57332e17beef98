"""Pictures of commands in a terminal for the pages in docs/, made by running them.

`python -m tests.support.terminal_picture` writes all again; a test compares them.
"""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import textwrap
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from tests.support.command import ROOT, STREAMPROC, environment

COLUMNS: Final = 80
ROUTES: Final = "topics/examples/routes"
PICTURES: Final = {
    ROOT / "docs" / "routes-try.svg": (
        *("routes", "try", f"{ROUTES}/shop-reviews.yaml", f"{ROUTES}/shop-reviews.jsonl"),
    )
}
# rich's own asks another server for a font; a page of ours asks none.
_FONT: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def picture(arguments: tuple[str, ...]) -> str:
    """The command and what it prints, as SVG."""
    sink = io.StringIO()
    console = Console(file=sink, record=True, width=COLUMNS, force_terminal=True, highlight=False)
    typed = textwrap.wrap("$ streamproc " + " ".join(arguments), COLUMNS - 2)
    console.print(Text(" \\\n  ".join(typed), "bold"))
    for line in printed(arguments).splitlines():
        console.print(Text.from_ansi(line), no_wrap=True, crop=True)
    svg = console.export_svg(title="streamproc", theme=MONOKAI, unique_id="terminal")
    return _FONT.sub("", svg)


def printed(arguments: tuple[str, ...]) -> str:
    """What a command prints on a terminal, colours too; raises CalledProcessError."""
    controller, terminal = pty.openpty()
    settings = environment({}) | {"COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    settings.pop("NO_COLOR")
    with subprocess.Popen(
        [*STREAMPROC, *arguments], cwd=ROOT, env=settings, stdout=terminal, stderr=terminal
    ) as process:
        os.close(terminal)
        said = b"".join(iter(lambda: _read(controller), b""))
    os.close(controller)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args, said)
    return said.decode().replace("\r\n", "\n")


def _read(controller: int) -> bytes:
    try:
        return os.read(controller, 65_536)
    except OSError:  # Linux' way to say that the other end is closed
        return b""


if __name__ == "__main__":
    for file, command in PICTURES.items():
        Path(file).write_text(picture(command), "utf-8")
