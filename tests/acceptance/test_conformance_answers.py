"""Answers to questions, against transformers' own pipeline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.conformance_answers import compare
from tests.support.answer_models import Question, bert, roberta
from tests.support.exported_models import ExportedModel
from tests.support.texts import sample_texts

ODD = "Was \u200d it? 👩‍👩‍👧‍👦 said “Ünïcödé” e\u0301\r\n\tשלום 中文字符 -- don't [SEP] stop.\n\n"
ASKED = ("What was the film like?", "who", "Which  sound (if any) is bad? 中")


def questions() -> list[Question]:
    """On one text and on many, so that there are contexts of one and of several windows."""
    texts = sample_texts()
    contexts = [*texts[:8], ODD, ODD + " ".join(texts[:25]), " ".join(texts[30:80])]
    # Too long a question for the shorter windows, which must be refused as it is there.
    long_winded = ("the film " * 40, " ".join(texts[30:60]))
    asked = [(ASKED[number % len(ASKED)], context) for number, context in enumerate(contexts)]
    return [*asked, long_winded]


@pytest.mark.train
@pytest.mark.slow
@pytest.mark.parametrize("build", [bert, roberta])
def test_a_single_member_answers_questions_as_the_pipeline_of_transformers(
    build: Callable[[Path], ExportedModel], tmp_path: Path
) -> None:
    pytest.importorskip("optimum.onnxruntime")

    found = compare(build(tmp_path), questions(), tmp_path)

    assert all(comparison.of_many_windows >= 2 for comparison in found)
    assert any(0 < comparison.no_answers < comparison.questions for comparison in found)
    assert [comparison.different for comparison in found] == [0] * len(found)
    assert all(comparison.is_equal for comparison in found)
