"""A task with a bug that one text meets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamproc.serving.tasks.task import Task


class Buggy(Task):
    """Another task, but for an error that quotes the text; times: how often it is met"""

    def __init__(self, task: Task, text: str, times: int = 1_000_000) -> None:
        self._task = task
        self._text = text
        self._times = times

    def begin(self, inputs: Mapping[str, Any], *rest: Any) -> Any:
        if inputs.get("text") == self._text and self._times:
            self._times -= 1
            raise KeyError(inputs["text"])
        return self._task.begin(dict(inputs), *rest)

    def __getattribute__(self, name: str) -> Any:
        own = name.startswith("_") or name in {"begin", "canary"}
        return object.__getattribute__(self, name) if own else getattr(self._task, name)
