"""`log.jsonl`: all that was told of a member's training, a line each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from streamproc.offline.training.events import (
    Epoch,
    PartFinished,
    PartStarted,
    Step,
    TrunkStarted,
)

LOG = "log.jsonl"
_KINDS = {
    TrunkStarted: "started",
    PartStarted: "started",
    Step: "step",
    Epoch: "epoch",
    PartFinished: "finished",
}


class Log:
    """Appends to a member's log; a line that a kill cut short is removed before."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / LOG
        if path.is_file():
            whole = path.read_bytes().rpartition(b"\n")
            path.write_bytes(whole[0] + whole[1])
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def write(self, told: TrunkStarted | PartStarted | Step | Epoch | PartFinished) -> None:
        """One line."""
        self._file.write(json.dumps({"kind": _KINDS[type(told)], **asdict(told)}) + "\n")

    def close(self) -> None:
        """No more is written."""
        self._file.close()


def read_log(folder: Path) -> Iterator[dict[str, Any]]:
    """What was told of a member, in order. Steps that were repeated after a kill come twice."""
    path = folder / LOG
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):
                yield json.loads(line)
