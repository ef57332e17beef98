"""Continuations against transformers' own, with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.conformance_generation import compared, sample_prompts
from tests.support.causal_models import KINDS
from tests.support.generators import random_generator

pytestmark = pytest.mark.train
pytest.importorskip("optimum.onnxruntime")


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_member_continues_as_transformers_does(kind: str, tmp_path: Path) -> None:
    found = compared(random_generator(kind, tmp_path), sample_prompts(), tmp_path)

    assert found.different == []
    assert found.odds_off_by < 1e-4
