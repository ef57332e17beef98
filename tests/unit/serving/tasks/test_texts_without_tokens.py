"""What a model would have nothing to read of is refused, whatever it would run beside."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from streamproc.errors import Invalid
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.testing import build_spec, tokenizer_json


def without_special_tokens() -> EnsembleSpec:
    """As GPT-2's tokenizer is, which puts nothing around a text."""
    definition = {**orjson.loads(tokenizer_json()), "post_processor": None}
    return replace(build_spec(), tokenizer=TextTokenizer(orjson.dumps(definition)))


@pytest.mark.parametrize("text", ["", " \n", "\u200b"])
@pytest.mark.parametrize("task", ["text-classification", "token-classification"])
def test_a_text_without_a_token_is_refused_where_none_stands_around_it(
    task: str, text: str
) -> None:
    job = task_named(task).begin({"text": text}, {}, without_special_tokens())

    with pytest.raises(Invalid, match="text: without a single token"):
        list(job.chunks())


def test_so_are_a_question_and_a_context_without_one() -> None:
    inputs = {"question": " ", "context": " "}
    job = task_named("question-answering").begin(inputs, {}, without_special_tokens())

    with pytest.raises(Invalid, match="question and context: without a single token"):
        list(job.chunks())


@pytest.mark.parametrize("task", ["text-classification", "token-classification"])
def test_special_tokens_alone_are_read(task: str) -> None:
    (chunk,) = task_named(task).begin({"text": ""}, {}, build_spec()).chunks()

    assert chunk.ids.tolist() == [2, 3]
