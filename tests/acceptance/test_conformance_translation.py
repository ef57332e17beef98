"""Translations against transformers' own, with random weights, and what must not change them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.conformance_translation import compare, our_answers
from tests.acceptance.translated_book import keeps_paragraphs
from tests.support.seq2seq_models import KINDS
from tests.support.translation_models import random_translator

pytestmark = pytest.mark.train
pytest.importorskip("optimum.onnxruntime")

SENTENCES = ["A dog.", "It was the best of times, it was the worst of times.", "Größe: 3.5 m?"]
TEXT = "One is short. The other one of the two is longer!\r\n\r\n- 你好。再见。\n* * *\n" * 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_member_translates_as_transformers_does(kind: str, tmp_path: Path) -> None:
    translator = random_translator(kind, tmp_path)

    for beams in (1, 4):
        found = compare(translator, SENTENCES, beams, tmp_path)
        assert found.different == []
        assert found.translations > 1


def test_translations_do_not_depend_on_what_runs_beside_them_or_on_copies(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "three").mkdir()
    one = random_translator("marian", tmp_path / "one")
    three = random_translator("marian", tmp_path / "three", members=3)
    params = {"num_beams": 3, "max_new_tokens": 20}
    texts = (TEXT, *SENTENCES, TEXT * 2)
    requests = [{"text": text, "params": params} for text in texts]

    together = our_answers(one, requests, tmp_path)
    (alone,) = our_answers(one, requests[:1], tmp_path)
    copies = our_answers(three, requests, tmp_path)

    assert alone["result"] == together[0]["result"]
    assert [answer["result"] for answer in copies] == [answer["result"] for answer in together]
    assert all(
        keeps_paragraphs(text, answer["result"]["translation_text"])
        for text, answer in zip(texts, together, strict=True)
    )
    assert alone["coverage"]["characters_covered"] == len(TEXT)
