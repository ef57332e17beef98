"""`log.jsonl`: the events of a member's training, a line each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from streamproc.offline.training.events import OnMemberEvent, TrainingEvent

LOG = "log.jsonl"


@contextmanager
def event_log(folder: Path) -> Iterator[OnMemberEvent]:
    """Appends events to a member's log; a line that a kill cut short is removed before."""
    path = folder / LOG
    if path.is_file():
        complete, end, _ = path.read_bytes().rpartition(b"\n")
        path.write_bytes(complete + end)
    with path.open("a", encoding="utf-8", buffering=1) as file:

        def write(event: TrainingEvent) -> None:
            file.write(json.dumps({"kind": event.kind, **asdict(event)}) + "\n")

        yield write


def read_log(folder: Path) -> Iterator[dict[str, Any]]:
    """A member's events, in order. Steps that were repeated after a kill come twice."""
    path = folder / LOG
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):
                yield json.loads(line)
