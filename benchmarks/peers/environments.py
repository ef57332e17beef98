"""A virtual environment for each peer, with what `requirements/peers` locks."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.measure import BenchmarkFailed

ROOT: Final = Path(__file__).parents[2]
REQUIREMENTS: Final = ROOT / "requirements" / "peers"


def environment_of(peer: str, folder: Path) -> Path:
    """The Python of a peer's environment, made where it is not there as its requirements say.

    folder: of all peers' environments
    Raises BenchmarkFailed with what pip said.
    """
    folder = folder.resolve()
    locked = REQUIREMENTS / f"{peer}.txt"
    digest = hashlib.sha256(locked.read_bytes()).hexdigest()
    made, python = folder / peer / "made-of", folder / peer / "bin" / "python"
    if made.is_file() and made.read_text("ascii") == digest:
        return python
    _run(sys.executable, "-m", "venv", "--clear", str(folder / peer))
    install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    _run(str(python), *install, "--require-hashes", "-r", str(locked))
    made.write_text(digest, "ascii")
    return python


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchmarkFailed(f"{' '.join(command)}: {done.stderr[-2000:]}")
