"""Against transformers' own pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.conformance import TOLERANCE, compare, our_scores, their_scores
from tests.support.texts import sample_texts


@pytest.mark.train
def test_a_single_member_answers_as_the_pipeline_of_transformers(tmp_path: Path) -> None:
    pytest.importorskip("optimum.onnxruntime")
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    texts = sample_texts()
    other_labels, difference = compare(our_scores(texts, ours), their_scores(texts, theirs))
    assert other_labels == 0
    assert difference <= TOLERANCE
