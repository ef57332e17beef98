"""What type checkers know of `pipeline` and `Scorer`: checked by mypy, never run.

A line that must be wrong has an ignore, and an ignore that is not needed is an error itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_type

import streamproc
from streamproc import ResponseBody, Scorer, Settings, pipeline
from streamproc.local.pipelines.question_answering import QuestionAnsweringPipeline
from streamproc.local.pipelines.summarization import SummarizationPipeline
from streamproc.local.pipelines.task_pipeline import TaskPipeline
from streamproc.local.pipelines.text_classification import TextClassificationPipeline
from streamproc.local.pipelines.text_generation import TextGenerationPipeline
from streamproc.local.pipelines.token_classification import TokenClassificationPipeline
from streamproc.local.pipelines.translation import TranslationPipeline


def check_a_task_has_its_pipeline(name: str) -> None:
    assert_type(pipeline("sentiment-analysis"), TextClassificationPipeline)
    assert_type(pipeline("text-classification", "mine"), TextClassificationPipeline)
    assert_type(pipeline("ner", Path("models/mine")), TokenClassificationPipeline)
    assert_type(pipeline("question-answering", top_k=2), QuestionAnsweringPipeline)
    assert_type(pipeline("translation"), TranslationPipeline)
    assert_type(pipeline("summarization"), SummarizationPipeline)
    assert_type(pipeline("text-generation", device=-1), TextGenerationPipeline)
    assert_type(pipeline(name), TaskPipeline)
    assert_type(pipeline(model="mine", settings=Settings()), TaskPipeline)
    pipeline(5)  # type: ignore[call-overload]


def check_answers(texts: Iterator[str]) -> None:
    entities = pipeline("ner")
    assert_type(entities("a text"), list[dict[str, Any]])
    assert_type(entities(["a", "b"], stride=8), list[list[dict[str, Any]]])
    assert_type(entities(texts), Iterator[list[dict[str, Any]]])
    translate = pipeline("translation")
    assert_type(translate(["a", "b"]), list[dict[str, str]])
    assert_type(translate(texts), Iterator[list[dict[str, str]]])
    assert_type(pipeline("text-generation")("a"), list[dict[str, Any]])
    entities(5)  # type: ignore[call-overload]
    with pipeline("question-answering") as ask:
        ask(question="a", context="b")
        ask(question=5, context="b")
        assert_type(ask.responses({"question": "a", "context": "b"}), list[ResponseBody])


def check_batches(score: Scorer) -> None:
    assert_type(score({"text": ["a"]}), dict[str, Any])
    assert_type(Scorer("mine", "translation", keep=["translation_text"], num_beams=2), Scorer)
    assert_type(streamproc.Scorer(), Scorer)
    Scorer("mine", columns="text")  # type: ignore[arg-type]
