"""`python -m tests.fuzz TARGET SECONDS [FOLDER]`: one target under atheris, guided by coverage.

FOLDER keeps what led to new code, for the next run; a case that fails is written beside it. Put it
into `tests/fuzz/found/TARGET/`, where the tests find it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["streamproc"]):
    from tests.fuzz.targets import TARGETS

_LONGEST_BYTES = 4096


def main(name: str, seconds: str, folder: str = "build/fuzz") -> None:
    """Fuzz one target for so many seconds."""
    corpus = Path(folder) / name
    corpus.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={_LONGEST_BYTES}",
        "-timeout=10",
        f"-artifact_prefix={folder}/{name}-",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[name])
    atheris.Fuzz()


main(*sys.argv[1:])
