from __future__ import annotations

from pathlib import Path

import pytest

from streamproc.repository.repository import Repository
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.verification.comparison import largest_difference
from streamproc.testing.generative import build_byte_tokenizer, byte_tokenizer_json
from tests.support.causal_graphs import causal
from tests.support.layered_graphs import Layered
from tests.support.onnx_models import write_ensemble


def test_members_are_compared_by_what_they_say(tmp_path: Path) -> None:
    write_ensemble(tmp_path / "one", [Layered(seed=seed).model() for seed in (1, 2)])
    write_ensemble(tmp_path / "other", [Layered(seed=seed).model() for seed in (1, 3)])
    stored = Repository(tmp_path)

    apart = largest_difference(stored.open("one"), stored.open("other"), Provider(CPU))

    assert apart["m0"] == 0
    assert apart["m1"] > 1e-3


@pytest.mark.parametrize(("seed", "same"), [(1, True), (2, False)])
def test_models_that_write_are_compared_by_the_scores_of_next_tokens(
    tmp_path: Path, seed: int, same: bool
) -> None:
    letters = build_byte_tokenizer().vocabulary_size
    for name, own in (("one", 1), ("other", seed)):
        write_ensemble(
            tmp_path / name,
            [causal(letters, seed=own)],
            labels=(),
            task="text-generation",
            tokenizer=byte_tokenizer_json(),
            window=(64, 0),
            sections="[decoding]\nmax_tokens = 64",
        )
    stored = Repository(tmp_path)

    apart = largest_difference(stored.open("one"), stored.open("other"), Provider(CPU))

    assert (apart["m0"] == 0) == same
