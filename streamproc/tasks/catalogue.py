"""The tasks there are, by name."""

from __future__ import annotations

from streamproc.errors import SettingsError
from streamproc.tasks.task import Task
from streamproc.tasks.text_classification import TextClassification

TASKS: dict[str, Task] = {task.name: task for task in (TextClassification(),)}


def task_named(name: str) -> Task:
    """The task of that name; raises SettingsError naming those there are."""
    if name not in TASKS:
        raise SettingsError(f"no task {name!r}; there are: {', '.join(TASKS)}")
    return TASKS[name]
