"""The pipelines there are, by task, and the other names of tasks."""

from __future__ import annotations

import re
from typing import Final

from streamproc.did_you_mean import there_are
from streamproc.errors import SettingsError
from streamproc.local.pipelines.question_answering import QuestionAnsweringPipeline
from streamproc.local.pipelines.summarization import SummarizationPipeline
from streamproc.local.pipelines.task_pipeline import TaskPipeline
from streamproc.local.pipelines.text_classification import TextClassificationPipeline
from streamproc.local.pipelines.text_generation import TextGenerationPipeline
from streamproc.local.pipelines.token_classification import TokenClassificationPipeline
from streamproc.local.pipelines.translation import TranslationPipeline
from streamproc.serving.tasks.catalogue import ALIASES

PIPELINES: Final[dict[str, type[TaskPipeline]]] = {
    pipeline.task: pipeline
    for pipeline in (
        TextClassificationPipeline,
        TokenClassificationPipeline,
        QuestionAnsweringPipeline,
        TranslationPipeline,
        SummarizationPipeline,
        TextGenerationPipeline,
    )
}
_PAIR = re.compile(r"translation_([^_]+)_to_([^_]+)")


def pipeline_named(task: str) -> type[TaskPipeline]:
    """The pipeline of a task, by any of its names.

    `translation_xx_to_yy` is `translation`: what an ensemble translates, its manifest says.
    Raises SettingsError naming those there are.
    """
    name = "translation" if _PAIR.fullmatch(task) else ALIASES.get(task, task)
    if name not in PIPELINES:
        raise SettingsError(f"no pipeline {task!r}; {there_are(task, [*PIPELINES, *ALIASES])}")
    return PIPELINES[name]
