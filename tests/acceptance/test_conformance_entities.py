"""Against transformers' own pipeline, with a tokenizer that marks continuations and one that
does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.conformance_entities import TOLERANCE, compare
from tests.support.entity_models import (
    byte_level_classifier,
    word_piece_classifier,
)
from tests.support.exported_models import ExportedModel
from tests.support.texts import sample_texts

AWKWARD = [
    "Ada Lovelace wrote to Charles Babbage, of Dorset Street, London.",
    "naïve café Zürich e\u0301cole İstanbul ß ﬁne",
    "李小龙 was born in 旧金山。日本語のテキスト",
    "👩‍👩‍👧‍👦 and 🏳️‍🌈 in 🇩🇪, 👍🏽!",
    "שלום עולם مرحبا \u202eabc\u202c",
    "tabs\tand\r\nlines\n\nand \u00a0 spaces\u200b",
    "[SEP] </s> #hash @user http://x.y/z?q=1 a-b c_d",
    "x" * 150,
]


@pytest.mark.train
@pytest.mark.parametrize("build", [word_piece_classifier, byte_level_classifier])
def test_a_single_member_finds_the_entities_that_the_pipeline_of_transformers_finds(
    build: Callable[[Path], ExportedModel], tmp_path: Path
) -> None:
    pytest.importorskip("optimum.onnxruntime")
    classifier, texts = build(tmp_path), AWKWARD + sample_texts()[:22]
    for found in compare(classifier, texts, tmp_path, windows=False).values():
        assert found.entities > len(texts)
        assert found.different_texts == 0
        assert found.largest_difference <= TOLERANCE


@pytest.mark.train
@pytest.mark.parametrize("build", [word_piece_classifier, byte_level_classifier])
def test_the_longest_of_overlapping_entities_stay_as_in_the_pipeline_of_transformers(
    build: Callable[..., ExportedModel], tmp_path: Path
) -> None:
    pytest.importorskip("optimum.onnxruntime")
    # Overlaps of more than half a window: some tokens are seen three times.
    classifier = build(tmp_path, max_tokens=16, overlap_tokens=8)
    texts = [" ".join(AWKWARD), *(" ".join(sample_texts()[n : n + 4]) for n in range(0, 16, 4))]
    for found in compare(classifier, texts, tmp_path, windows=True).values():
        assert found.entities > 10 * len(texts)
        assert found.different_texts == 0
        assert found.largest_difference <= TOLERANCE
