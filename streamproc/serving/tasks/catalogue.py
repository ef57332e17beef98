"""The tasks there are, by name."""

from __future__ import annotations

from typing import Final

from streamproc.did_you_mean import there_are
from streamproc.errors import SettingsError
from streamproc.serving.tasks.decoding_task import DecodingTask
from streamproc.serving.tasks.question_answering import QuestionAnswering
from streamproc.serving.tasks.summarization import Summarization
from streamproc.serving.tasks.task import ScoringTask, Task
from streamproc.serving.tasks.text_classification import TextClassification
from streamproc.serving.tasks.text_generation import TextGeneration
from streamproc.serving.tasks.token_classification import TokenClassification
from streamproc.serving.tasks.translation import Translation

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        TextClassification(),
        TokenClassification(),
        QuestionAnswering(),
        Translation(),
        Summarization(),
        TextGeneration(),
    )
}
"""What a worker serves. docs/design.md lists what else knows tasks by name."""
ALIASES: Final = {"sentiment-analysis": "text-classification", "ner": "token-classification"}
"""Other names that transformers has for tasks."""


def task_named(name: str) -> Task:
    """The task of that name; raises SettingsError naming those there are."""
    if name not in TASKS:
        raise SettingsError(f"no task {name!r}; {there_are(ALIASES.get(name, name), TASKS)}")
    return TASKS[name]


def decoding_task_named(name: str) -> DecodingTask:
    """The task of that name whose members write; raises SettingsError when it is none."""
    task = task_named(name)
    if not isinstance(task, DecodingTask):
        raise SettingsError(f"{name} is not answered by writing text")
    return task


def scoring_task_named(name: str) -> ScoringTask:
    """The task of that name whose members score; raises SettingsError when it is none."""
    task = task_named(name)
    if not isinstance(task, ScoringTask):
        raise SettingsError(f"{name} is not answered by scoring chunks")
    return task
