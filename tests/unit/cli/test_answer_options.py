"""The help of options that `run` and `submit` share."""

from __future__ import annotations

from typing import get_args

from streamproc.cli.answer_options import TaskName
from streamproc.serving.tasks.catalogue import TASKS


def test_every_task_is_named_by_the_help() -> None:
    _, option = get_args(TaskName)

    assert [task for task in TASKS if task not in option.help] == []
