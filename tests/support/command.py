"""`streamproc …` as a user types it: a process of its own, without this machine's settings."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from streamproc.settings.reading import PREFIX

STREAMPROC = (sys.executable, "-m", "streamproc")
ROOT = Path(__file__).parents[2]


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with `settings` for all of streamproc's, names without prefix."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    # A wide terminal, so that tables are not cut; no colours, so that text can be compared.
    return kept | {"COLUMNS": "200", "NO_COLOR": "1"} | {PREFIX + n: v for n, v in settings.items()}


def streamproc(
    *arguments: str | Path,
    settings: Mapping[str, str] | None = None,
    stdin: str = "",
    timeout_s: float = 120,
    folder: Path = ROOT,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, whatever it exits with."""
    return subprocess.run(
        [*STREAMPROC, *map(str, arguments)],
        cwd=folder,
        env=environment(settings or {}),
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout_s,
        check=False,
    )
